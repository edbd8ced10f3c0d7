"""What holds for every test."""

import os

from hypothesis import settings

os.environ.pop("COLUMNS", None)
"""Tables are as wide as they are printed into a file, whatever terminal the tests are run in, or one at a time or side by side."""

settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")
"""A machine that others load too makes an example slow now and then, which says nothing of what it shows."""
