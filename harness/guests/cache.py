"""Where images and generated streams are kept between runs: ``$XDG_CACHE_HOME/pageferry``. They can be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import MissingError

__all__ = ["ELSEWHERE", "cache_dir"]

ELSEWHERE = "free space there, or set XDG_CACHE_HOME to a folder that may be written and has room"
"""The remedy where the folder cannot be written."""


def cache_dir() -> Path:
    """The folder, not necessarily there yet. :raises MissingError: nothing says where this user's home is."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "pageferry"
    except RuntimeError as exc:
        raise MissingError(
            f"no folder for guest memory and streams: HOME is not set, and user {os.geteuid()} is not in the list of users; "
            "set HOME, or XDG_CACHE_HOME to a folder that may be written"
        ) from exc
