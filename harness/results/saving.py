"""Writes a file whole or not at all: the one way in which files come about that outlive us. Knows no document."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from harness.errors import ResultError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def save_whole(data: bytes, path: Path, what: str, elsewhere: str = "--out") -> None:
    """``data`` as ``path``, with its folders. :raises ResultError: as ``whole_file``."""
    with _told(path, what, elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, what, elsewhere) as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: Path, what: str, elsewhere: str = "--out") -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of ``path`` (or of what that links to) once it is on the disk, and its mode.

    What is no regular file (a device, a pipe) is written to as it is. ``what`` names the document in errors, and ``elsewhere``
    what its user can choose anew.

    :raises ResultError: disk full, no access; a file that was there is as it was.
    """
    with _told(path, what, elsewhere):
        before = _status(path)
        special = before is not None and not stat.S_ISREG(before.st_mode)
        with _special(path) if special else _replacement(path.resolve(), before) as file:
            yield file


@contextlib.contextmanager
def _told(path: Path, what: str, elsewhere: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        words = exc.strerror or str(exc)
        raise ResultError(f"{path}: cannot save the {what}: {words}; free space or choose another {elsewhere}") from exc


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _special(path: Path) -> IO[bytes]:
    """A pipe without a reader is an error at once: opening it would wait."""
    number = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    os.set_blocking(number, True)
    return os.fdopen(number, "wb")


@contextlib.contextmanager
def _replacement(path: Path, before: os.stat_result | None) -> Iterator[IO[bytes]]:
    """Under a name that nobody can foresee and lay a trap at, in the same folder."""
    temporary = path.with_name(f".pageferry-{os.urandom(8).hex()}.tmp")
    with os.fdopen(os.open(temporary, _NEW, 0o666), "wb") as file:
        try:
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
