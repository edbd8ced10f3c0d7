"""Every error that pageferry raises on purpose. Whose fault it is decides the class, and the class the exit status.

PageferryError
├── UserError              2  the command line or a scenario file
│   └── ScenarioError      2  names file, key, value and remedy
├── MissingError           3  this machine lacks something (QEMU, root, a library); says what to install
├── QemuError              4  a QEMU process or its QMP said no, or died
├── PeerError              5  the other half of the pair, or the link between
│   └── FrameError         5  bytes on the link that are not our frames
├── CodecError             6  a backend failed or decoded wrongly
├── ResultError            7  a result file cannot be read or written
└── RegressionError        8  `pageferry compare --fail-on` found what it was told to look for

Backends raise ``backends.api.BackendError`` and ``BackendUnavailable``; the migrator turns them into CodecError and
MissingError where they cross into the harness. 0 is success, 1 is "it ran, but a run failed"; 128 and a signal's number is that
signal: 130 is Ctrl-C.
"""

from __future__ import annotations

import errno
import os


class PageferryError(Exception):
    """One line for the user: place, value, remedy. ``exit_status`` is what the command ends with."""

    exit_status = 1


class UserError(PageferryError):
    """The command line or an input file is wrong."""

    exit_status = 2


class ScenarioError(UserError):
    """A scenario file is wrong; the message starts with ``FILE: KEY:``."""


class MissingError(PageferryError):
    """Something is not on this machine; the message says what to install or allow."""

    exit_status = 3


class QemuError(PageferryError):
    """QEMU refused, failed or died; the message carries QEMU's own words."""

    exit_status = 4


class PeerError(PageferryError):
    """The other half of the pair, or the link to it, failed."""

    exit_status = 5


class FrameError(PeerError):
    """Bytes on the link are not a valid frame; the message names the frame and the field."""


class CodecError(PageferryError):
    """A backend failed, or its output did not match the digest of what went in."""

    exit_status = 6


class ResultError(PageferryError):
    """A result cannot be saved or loaded; the message names the file."""

    exit_status = 7


class RegressionError(PageferryError):
    """A result is worse than another; the message names the methods and figures."""

    exit_status = 8


_NO_MEMORY = (
    "no more memory is to be had here; raise this process's limit (ulimit -v, or its control group's), or let it take less: fewer "
    "--threads, a smaller --option window=..."
)
_NOT_MAPPED = (
    "failed to map segment from shared object",
    "cannot allocate memory",
    "cannot create shared object descriptor",
)
_NO_THREAD = (
    "no more threads can be started here: memory, or the number of threads, is used up; raise this process's limits (ulimit -v and "
    "-u, or its control group's)"
)
_NO_FILES = "no more open files are allowed here; raise this process's limit (ulimit -n)"


def refused(error: BaseException) -> MissingError | None:
    """What the host did not give to this process, in words; None: ``error`` is nothing of that."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM or _not_loaded(error, *_NOT_MAPPED):
        return MissingError(_NO_MEMORY)
    if number in (errno.EMFILE, errno.ENFILE) or _not_loaded(error, os.strerror(errno.EMFILE)):
        return MissingError(_NO_FILES)
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return MissingError(_NO_THREAD)
    return None


def _not_loaded(error: BaseException, *words: str) -> bool:
    """A library is there, and could not be loaded, for which glibc has those words."""
    return isinstance(error, ImportError) and any(each in str(error) for each in words)
