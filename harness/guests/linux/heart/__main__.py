"""Builds to the named file, or over the committed one."""

import sys
from pathlib import Path

from harness.guests.linux.heart import HEART, build

build(Path(sys.argv[1]) if sys.argv[1:] else HEART)
