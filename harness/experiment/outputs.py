"""One folder, one advice or certificate: an older one stays whole until the new one has something, and goes as a whole then."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.errors import ResultError, UserError

ADVICE_FILES = ("advice.json", "advice.html", "measured")
CERTIFICATE_FILES = ("certificate.json", "certificate.xml", "certificate.html", "logs")
_ASIDE = ".pageferry-previous"


@contextlib.contextmanager
def replacing(out: Path, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """``out`` for a new one alone, with those of its files set aside. Gives what to call once the new one has something, and the
    older one goes; an end before that puts it back.

    :raises UserError: another process fills it. :raises ResultError: disk full, no access.
    """
    aside, settled = out / _ASIDE, False

    def settle() -> None:
        nonlocal settled
        if not settled:
            settled = True
            with told(out):
                _remove(aside)

    with held(out):
        with told(out):
            _put_back(aside, out)  # of one that was killed before it had anything
            _set_aside(out, aside, names)
        try:
            yield settle
        finally:
            if not settled:
                with told(out):
                    for name in _there(out, names):
                        _remove(out / name)
                    _put_back(aside, out)


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """``out``, made and kept from other processes; the kernel lets go of it however we end. Folders that were made for it and that
    nothing was put into go afterwards.

    :raises UserError: another process has it. :raises ResultError: disk full, no access.
    """
    made: list[Path] = []
    try:
        with told(out):
            for each in reversed((out, *out.parents)):
                with contextlib.suppress(FileExistsError):
                    each.mkdir()
                    made.append(each)
            folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _lock(folder, out)
            yield
        finally:
            os.close(folder)
    finally:
        for each in reversed(made):
            with contextlib.suppress(OSError):
                each.rmdir()


def _lock(folder: int, out: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise UserError(f"{out}: another pageferry fills this folder: wait for it, or choose another --out") from exc


@contextlib.contextmanager
def told(out: Path) -> Iterator[None]:
    """:raises ResultError: in place of what the system says of ``out``."""
    try:
        yield
    except OSError as exc:
        words = exc.strerror or str(exc)
        raise ResultError(f"{exc.filename or out}: {words}; free space or choose another --out") from exc


def _set_aside(out: Path, aside: Path, names: Sequence[str]) -> None:
    if there := _there(out, names):
        aside.mkdir()
    for name in there:
        (out / name).rename(aside / name)


def _there(out: Path, names: Sequence[str]) -> list[str]:
    """A folder where a file of ours would be is none of ours: saving that file will say so."""
    return [name for name in names if os.path.lexists(out / name) and not ("." in name and (out / name).is_dir())]


def _put_back(aside: Path, out: Path) -> None:
    if aside.is_dir():
        for path in aside.iterdir():
            _remove(out / path.name)
            path.rename(out / path.name)
        aside.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
