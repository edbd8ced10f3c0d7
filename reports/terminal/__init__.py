"""The tables that `pageferry run` ends with."""
