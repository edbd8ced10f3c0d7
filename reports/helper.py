"""A process of ours that does what it is asked, one thing after the other: what becomes of it is no harm to who asks.

It runs the same modules as we do, does not hear a terminal's Ctrl-C, and ends with the thread that started it.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TypeVar

from backends.children import module_argv
from harness.errors import PageferryError

T = TypeVar("T")


class HelperEndedError(Exception):
    """It did not live to answer; the message says what ended it: ``SIGTRAP``, or ``exit status 1``."""


@dataclass(frozen=True, slots=True)
class Helper:
    """For one thread at a time; only ``end`` is for any."""

    process: subprocess.Popen[bytes]
    connection: Connection

    def ask(self, asked: Callable[[], T]) -> T:
        """What ``asked`` gives there. It travels by its name and arguments; what it raises there is raised here.

        :raises HelperEndedError: and no question more has an answer.
        """
        try:
            self.connection.send(asked)
            done, answer = self.connection.recv()
        except (EOFError, OSError) as exc:
            raise HelperEndedError(self._end_words()) from exc
        if not done:
            raise answer
        return answer  # type: ignore[no-any-return] # what comes out of a pipe has no type

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None

    def end(self) -> None:
        """At once, whatever it is doing; who waits for its answer gets the error."""
        self.process.kill()
        self.process.wait()

    def _end_words(self) -> str:
        status = self.process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def start() -> Helper:
    """:raises OSError: this machine has no room for a process more."""
    ours, theirs = Pipe()
    with theirs:
        argv = module_argv(__name__, str(theirs.fileno()))
        nothing = subprocess.DEVNULL  # what a native library says as it dies is for its own makers
        process = subprocess.Popen(
            argv, pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing, stderr=nothing, process_group=0
        )
    return Helper(process, ours)


def _serve(connection: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):  # nobody asks any more
        while True:
            asked = connection.recv()
            connection.send(_answer(asked))


def _answer(asked: Callable[[], object]) -> tuple[bool, object]:
    try:
        return True, asked()
    except Exception as exc:
        known = isinstance(exc, PageferryError | OSError)
        told = exc if known else RuntimeError(f"{type(exc).__name__}: {exc}")  # another might not survive the way
        told.add_note(traceback.format_exc())
        return False, told


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
