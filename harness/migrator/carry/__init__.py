"""A batch's way: window, codecs, order, history, and its way back out."""
