"""One run's own folder: sockets, memory dumps, logs. Gone after the run, but for the logs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["open_run_dir"]


@contextmanager
def open_run_dir(logs: Path) -> Iterator[Path]:
    """A private folder under a short path (socket names are limited), in memory where there is some: guest RAM is dumped
    into it to be compared. What is called ``*.log`` or ``*.json`` in the end is copied to ``logs``.
    """
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
    with tempfile.TemporaryDirectory(prefix="pf-", dir=where, ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            for file in (*Path(folder).glob("*.log"), *Path(folder).glob("*.json")):
                logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, logs / file.name)
