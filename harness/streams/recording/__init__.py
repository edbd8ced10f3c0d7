"""Recordings: one migration's stream in a file, compressed, checked, and with an index of its passes."""
