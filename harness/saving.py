"""Writes a document's file whole or not at all. Knows no document."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from harness.errors import ResultError

__all__ = ["save_whole"]


def save_whole(data: bytes, path: Path, what: str, elsewhere: str = "--out") -> None:
    """A temporary file beside ``path`` replaces it, once it is on the disk. ``what`` names it in errors, and ``elsewhere`` what
    its user can choose anew.

    :raises ResultError: disk full, no access.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResultError(
            f"{path}: cannot save the {what}: {exc.strerror}; free space or choose another {elsewhere}"
        ) from exc
