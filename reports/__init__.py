"""Results -> self-contained HTML pages, and tables for a terminal. Works from what was saved alone."""
