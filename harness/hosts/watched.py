"""A child process, on whichever host: what it says, how it ended, its CPU time, its end. Does not know what children do."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

_LOOK_S = 0.005
_MOST_BYTES = 1 << 20
"""Read at once of what one wrote; no line that anybody waits for is longer."""


class Watched(abc.ABC):
    """Its output and errors are in ``log``, a file here. A context manager: started, and stopped whatever happened."""

    def __init__(self, log: Path | None) -> None:
        self._log = log
        self._heard_bytes = 0

    @abc.abstractmethod
    def start(self) -> Self:
        """:raises MissingError: the program, or setpriv, is not there."""

    @property
    @abc.abstractmethod
    def started(self) -> bool:
        """Whether it was."""

    @property
    @abc.abstractmethod
    def pid(self) -> int:
        """Process id on its host, of the started child."""

    @property
    @abc.abstractmethod
    def status(self) -> int | None:
        """Exit status, or minus the number of the signal that killed it; None while it runs."""

    @abc.abstractmethod
    def cpu_s(self) -> float:
        """User and system seconds so far, of what it started too; the kernel's final count once it has ended."""

    @abc.abstractmethod
    def signal(self, number: signal.Signals) -> None:
        """Send it, if it still runs."""

    @abc.abstractmethod
    def end_input(self) -> bool:
        """Whether it had an input, which has its end now."""

    def ended(self, wait_s: float = 0.0) -> str | None:
        """How it ended, in words; None while it runs. Waits up to ``wait_s`` for its end."""
        deadline_s = time.monotonic() + wait_s
        while (status := self.status) is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(left_s, _LOOK_S))
        return _words(status)

    def end_and_words(self, wait_s: float = 0.0) -> str | None:
        """As ``ended``, with the last line that it wrote."""
        how = self.ended(wait_s)
        words = self.last_words()
        return how and how + (f": {words}" if words else " and said nothing")

    def said(self) -> str:
        """All that it wrote, or the empty string."""
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace") if self._log is not None else ""
        return ""

    def last_words(self) -> str:
        """The last line that it wrote, or the empty string."""
        lines = reversed(self._written(-_MOST_BYTES).splitlines())
        return next((line.decode(errors="replace").strip() for line in lines if line.strip()), "")

    def hear(self, pattern: re.Pattern[str], timeout_s: float) -> re.Match[str] | None:
        """The next line that ``pattern`` matches, after the one that was heard last. None: it ended or did not say it in time."""
        deadline_s, looked_bytes = time.monotonic() + timeout_s, self._heard_bytes
        while True:
            ended, late = self.status is not None, time.monotonic() > deadline_s  # before the look: what it said counts
            said = self._written(looked_bytes)
            *lines, rest = said.split(b"\n")
            for line in lines:
                looked_bytes += len(line) + 1
                if (found := pattern.match(line.decode(errors="replace"))) is not None:
                    self._heard_bytes = looked_bytes
                    return found
            if late or (ended and len(said) < _MOST_BYTES):
                return None
            if len(said) < _MOST_BYTES:
                time.sleep(_LOOK_S)
            elif not lines:
                looked_bytes += len(rest)

    def _written(self, begin: int) -> bytes:
        """From so many bytes after the beginning on, or before the end: not all of it, where it is much."""
        with contextlib.suppress(OSError):
            if self._log is not None:
                with self._log.open("rb") as file:
                    end = file.seek(0, os.SEEK_END)
                    file.seek(max(0, end + begin) if begin < 0 else begin)
                    return file.read(_MOST_BYTES)
        return b""

    def stop(self, patience_s: float = 3.0, politely: Callable[[], None] | None = None) -> None:
        """End it by the end of its input or ``politely``, then SIGTERM, then SIGKILL, ``patience_s`` apart. Safe to call twice."""
        if not self.started:
            return
        self.cpu_s()
        if self.end_input():
            self.ended(patience_s)
        elif politely is not None and self.status is None:
            politely()
            self.ended(patience_s)
        for ask in (signal.SIGTERM, signal.SIGKILL):
            if self.status is None:
                self.signal(ask)
                self.ended(patience_s)

    def kill(self) -> None:
        """End it at once, with all of its process group."""
        if self.started:
            self.signal(signal.SIGKILL)
            self.stop()

    def __enter__(self) -> Self:
        """Started."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stopped, whatever happened."""
        self.stop()


def _words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-status}"
