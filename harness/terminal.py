"""The border to the terminal: text of others as one printable line, and standard streams that are absent, full or left.

Names, a peer's errors and QEMU's words may hold anything: escape sequences that rewrite the screen, and line breaks that forge
lines of ours. Whoever prints them goes through here.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO, cast


def one_line(text: object) -> str:
    """``text`` with an escape for each character that is not plainly visible: control, line break, change of direction."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(text))


def tell(line: object) -> None:
    """A line on stderr, at once. That nobody can read it is no reason for what goes on to fail."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: closed
        sys.stderr.write(f"{one_line(line)}\n")
        sys.stderr.flush()


class OutputError(Exception):
    """Stdout takes no more. ``reader_left``: it was a pipe, whose reader has what it wanted."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write to the standard output: {cause.strerror}; send it elsewhere")
        self.reader_left = isinstance(cause, BrokenPipeError)


class _Output:
    """Stdout, its failures told from those of every other file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _told_apart():
            return self._stream.write(text)

    def flush(self) -> None:
        with _told_apart():
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OutputError(exc) from exc


@contextlib.contextmanager
def guarded_output() -> Iterator[None]:
    """Inside, a failure of stdout is an ``OutputError``, and a letter that its encoding lacks is printed as its escape."""
    stream = sys.stdout
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", _Output(stream))
    try:
        yield
    finally:
        sys.stdout = stream


def cover_absent_streams() -> None:
    """/dev/null for each standard stream that we were started without: the next file opened would be taken for it."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - of the process, until its end


def give_up_output() -> None:
    """What stdout did not take goes nowhere; Python would try, and complain, once more at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
