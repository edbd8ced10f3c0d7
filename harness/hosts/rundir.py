"""Private folders for what lives as long as a run: sockets, memory dumps, logs. Gone after it, but for the logs."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.errors import MissingError, ResultError
from harness.hosts.claims import Claim, remove_abandoned
from harness.units import format_bytes

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - claims are private
LOGS_BYTES = 4 << 20
"""What logs and statistics of a run may come to."""

_LONGEST_BASE_BYTES = 70
"""A unix socket's path has at most 107 bytes: behind this come the folder's own name (16) and a socket's (20 at most)."""


def scratch_base(needs_bytes: int = 0) -> Path:
    """The first of /dev/shm and the folder for temporary files (TMPDIR) that will do for ``needs_bytes`` and for sockets.

    :raises MissingError: none does; says why not, of each.
    """
    problems = []
    for base in _bases():
        problem = _problem(base, needs_bytes)
        if problem is None:
            return base
        problems.append(f"{base}: {problem}")
    need = f"{format_bytes(needs_bytes)} of room" if needs_bytes else "sockets"
    raise MissingError(
        f"no folder for a run's temporary files ({need}): {'; '.join(problems)}; set TMPDIR to a short path with "
        "room, or enlarge /dev/shm (mount -o remount,size=1G /dev/shm, or docker run --shm-size=1g)"
    )


def _bases() -> tuple[Path, Path]:
    """TMPDIR is taken at its word, where Python would pass over what does not work: its owner is told what is wrong."""
    return _IN_MEMORY, Path(os.environ.get("TMPDIR") or "/tmp").absolute()  # noqa: S108 - the same


def _problem(base: Path, needs_bytes: int) -> str | None:
    try:
        free_bytes = shutil.disk_usage(base).free
    except OSError as exc:
        return exc.strerror or str(exc)
    if not base.is_dir() or not os.access(base, os.W_OK | os.X_OK):
        return "no folder that we may write to"
    if (length := len(os.fsencode(base))) > _LONGEST_BASE_BYTES:
        return (
            f"its path has {length} bytes and a socket in it may have 107, so at most {_LONGEST_BASE_BYTES} can be used"
        )
    if free_bytes < needs_bytes:
        return f"{format_bytes(free_bytes)} free"
    return None


def remove_leftovers() -> None:
    """What killed runs left, gigabytes of guest RAM at worst; what living ones use stays."""
    for base in _bases():
        remove_abandoned(base)


@contextlib.contextmanager
def open_scratch(needs_bytes: int = 0) -> Iterator[Path]:
    """A private folder under a short path (socket names are limited), in memory where there is room. Leftovers go first.

    :raises MissingError: there is no place for it.
    """
    remove_leftovers()
    claim = Claim(scratch_base(needs_bytes))
    try:
        try:
            claim.take()
        except OSError as exc:
            raise MissingError(f"{claim.path}: cannot be made: {exc.strerror}; set TMPDIR to another folder") from exc
        yield claim.path
    finally:
        claim.release()


@contextlib.contextmanager
def open_run_dir(logs: Path, needs_bytes: int = 0) -> Iterator[Path]:
    """``open_scratch``; what is called ``*.log`` or ``*.json`` in the end is copied to ``logs``.

    :raises MissingError: there is no place for it. :raises ResultError: the logs cannot be kept, such as on a full disk.
    """
    with open_scratch(needs_bytes) as folder:
        try:
            yield folder
        finally:
            _keep(folder, logs)


def _keep(folder: Path, logs: Path) -> None:
    try:
        for file in (*folder.glob("*.log"), *folder.glob("*.json")):
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, logs / file.name)
    except OSError as exc:
        raise ResultError(
            f"{logs}: cannot keep the run's logs: {exc.strerror}; free space or choose another --out"
        ) from exc
