"""One run's own folder: sockets, memory dumps, logs. Gone after the run, but for the logs."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import ResultError

__all__ = ["open_run_dir"]


@contextmanager
def open_run_dir(logs: Path) -> Iterator[Path]:
    """A private folder under a short path (socket names are limited), in memory where there is some: guest RAM is dumped
    into it to be compared. What is called ``*.log`` or ``*.json`` in the end is copied to ``logs``.

    :raises ResultError: that cannot be done, such as on a full disk.
    """
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
    _remove_leftovers(Path(where or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"pf-{os.getpid()}-", dir=where, ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            _keep(Path(folder), logs)


def _remove_leftovers(where: Path) -> None:
    """What killed runs left: gigabytes of guest RAM at worst. Folders of living processes stay."""
    for folder in where.glob("pf-*-*"):
        found = re.fullmatch(r"pf-(\d+)-\w+", folder.name)
        if found is not None and not Path("/proc", found[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, logs: Path) -> None:
    try:
        for file in (*folder.glob("*.log"), *folder.glob("*.json")):
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, logs / file.name)
    except OSError as exc:
        raise ResultError(
            f"{logs}: cannot keep the run's logs: {exc.strerror}; free space or choose another --out"
        ) from exc
