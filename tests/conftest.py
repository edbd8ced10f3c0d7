"""What holds for every test."""

import os

os.environ.pop("COLUMNS", None)
"""Tables are as wide as they are printed into a file, whatever terminal the tests are run in, or one at a time or side by side."""
