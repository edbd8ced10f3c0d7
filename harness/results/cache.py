"""Where images and generated streams are kept between runs: ``$XDG_CACHE_HOME/pageferry``. They can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

ELSEWHERE = "free space there, or set XDG_CACHE_HOME to a folder that may be written and has room"
"""The remedy where the folder cannot be written."""


def cache_dir() -> Path:
    """The folder, not necessarily there yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pageferry"
