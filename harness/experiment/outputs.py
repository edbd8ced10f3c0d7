"""One folder, one experiment: what an older one left stays whole until the new one has something, and goes as a whole then."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness.errors import ResultError, UserError
from harness.experiment.events import Event, RunFinished

__all__ = ["CERTIFICATE_FILES", "RUN_FILES", "dropping", "replacing"]

_MADE_OF_RESULTS = ("report.html", "pyperf.json", "pyperf")
RUN_FILES = ("result.json", "logs", *_MADE_OF_RESULTS)
CERTIFICATE_FILES = ("certificate.json", "certificate.xml", "certificate.html", "logs")
_ASIDE = ".pageferry-previous"


@contextlib.contextmanager
def replacing(out: Path, names: Sequence[str], *, resume: bool = False) -> Iterator[Callable[[], None]]:
    """``out`` for a new experiment alone, with those of its files set aside. Gives what to call once the new
    one has something, and the older one goes; an end before that puts it back. ``resume``: it is the same experiment, and only
    what was made of its result goes.

    :raises UserError: another process fills it. :raises ResultError: disk full, no access.
    """
    aside, settled = out / _ASIDE, False

    def settle() -> None:
        nonlocal settled
        if not settled:
            settled = True
            with _told(out):
                for path in [out / name for name in _MADE_OF_RESULTS] if resume else [aside]:
                    _remove(path)

    with _held(out):
        with _told(out):
            _put_back(aside, out)  # of one that was killed before it had anything
            if not resume:
                _set_aside(out, aside, names)
        try:
            yield settle
        finally:
            if not settled and aside.is_dir():
                with _told(out):
                    for name in names:
                        _remove(out / name)
                    _put_back(aside, out)


def dropping(on_event: Callable[[Event], None], *stale: Path) -> Callable[[Event], None]:
    """``on_event``, and once a run has finished the files ``stale`` are gone: they were made of runs that are replaced."""

    def take(event: Event) -> None:
        if isinstance(event, RunFinished):
            for path in stale:
                path.unlink(missing_ok=True)
        on_event(event)

    return take


@contextlib.contextmanager
def _held(out: Path) -> Iterator[None]:
    """The kernel lets go of it however we end."""
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder, out)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, out: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise UserError(f"{out}: another pageferry fills this folder: wait for it, or choose another --out") from exc


@contextlib.contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        words = exc.strerror or str(exc)
        raise ResultError(f"{exc.filename or out}: {words}; free space or choose another --out") from exc


def _set_aside(out: Path, aside: Path, names: Sequence[str]) -> None:
    # A folder where a file of ours would be is none of ours: saving that file will say so.
    there = [name for name in names if os.path.lexists(out / name) and not ("." in name and (out / name).is_dir())]
    if there:
        aside.mkdir()
    for name in there:
        (out / name).rename(aside / name)


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
