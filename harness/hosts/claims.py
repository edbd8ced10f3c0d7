"""Marks what a process makes for a while as its own, and removes what processes left that are gone.

A claim is a private folder with a file in it that its owner keeps locked (flock(2)). The kernel gives the lock up however
the owner ends, and in whichever PID namespace it was. Somebody else's claim is removed only under that lock, and only if the
folder is this user's and has our file: a name proves nothing. What is still claimed when the program ends is removed then.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

PREFIX = "pf-"
_LOCK = ".pageferry"
_UNLOCKED = ".pageferry-new"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_ATTEMPTS = 10
_held: set[Claim] = set()


def _nothing_else(_: str) -> None:
    """The folder is all that the claim is for."""


class Claim:
    """A folder ``path`` of a new name in ``base``, which must be there. ``undo`` gets the name first when the claim goes, and
    removes what else is called so; it must bear that some of it, or all, is gone."""

    def __init__(self, base: Path, undo: Callable[[str], None] = _nothing_else) -> None:
        self.path = base / f"{PREFIX}{os.urandom(6).hex()}"
        self._undo = undo
        self._lock: int | None = None
        self._owner_pid = os.getpid()

    def take(self) -> None:
        """Make the folder. :raises OSError: no room or no access."""
        _held.add(self)  # before there is anything: an interrupt may come between any two steps
        self.path.mkdir(mode=0o700)
        with _opened(self.path, _FOLDER) as folder:
            self._lock = os.open(_UNLOCKED, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            os.rename(_UNLOCKED, _LOCK, src_dir_fd=folder, dst_dir_fd=folder)  # only what is locked has this name

    def release(self) -> None:
        """Remove it, as far as that can be done. Safe to call twice; does nothing in a fork of its owner."""
        if self not in _held or os.getpid() != self._owner_pid:
            return
        self._undo(self.path.name)
        with contextlib.suppress(OSError), _opened(self.path, _FOLDER) as folder:
            _remove(self.path, folder)
        _held.discard(self)
        lock, self._lock = self._lock, None  # before it is closed: closed twice, its number would be somebody else's
        if lock is not None:
            os.close(lock)


@atexit.register
def release_all() -> None:
    """Remove whatever this process still claims."""
    for claim in tuple(_held):
        claim.release()


def remove_abandoned(base: Path, undo: Callable[[str], None] = _nothing_else) -> list[str]:
    """Remove the claims in ``base`` whose owners are gone, ``undo`` first. Returns their names.

    What vanishes meanwhile was somebody else's to remove, and is passed over.
    """
    try:
        names = sorted(name for name in os.listdir(base) if name.startswith(PREFIX))  # noqa: PTH208 - vanishing names are normal
    except OSError:
        return []
    return [name for name in names if _remove_if_abandoned(base / name, undo)]


def _remove_if_abandoned(path: Path, undo: Callable[[str], None]) -> bool:
    with contextlib.suppress(OSError), _opened(path, _FOLDER) as folder:
        if os.fstat(folder).st_uid != os.geteuid():
            return False
        with _opened(_LOCK, os.O_RDWR | os.O_NOFOLLOW, folder) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            undo(path.name)
            _remove(path, folder)
            return True
    return False


def _remove(path: Path, folder: int) -> None:
    """``path``, which ``folder`` is open at. Again where something was made meanwhile: a child may not have ended yet."""
    for _ in range(_ATTEMPTS):
        _empty(folder)
        with contextlib.suppress(OSError):
            path.rmdir()
            return


def _empty(folder: int) -> None:
    """By descriptor: nobody can put another folder in its place. Our file last: whoever is stopped meanwhile leaves a claim."""
    for name in sorted(os.listdir(folder), key=lambda name: name in (_LOCK, _UNLOCKED)):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
        except FileNotFoundError:
            continue


@contextlib.contextmanager
def _opened(path: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
