"""What the Linux guest says on its serial console: bytes in, events out. No I/O.

The heart's beats are bytes 0xff, which no text holds, and its lines tell the clock and the work done; a workload's words, and the
kernel's, come in between. So a reader that joins late finds the next beat and the next line by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.guests.console import Beat, GuestFailure, Work

__all__ = ["Console", "Line", "Ready", "Tick", "Work"]

_BEAT = 0xFF
_LONGEST_LINE = 4096
_WORK = re.compile(r"at=\d{1,18} done=(\d{1,18})")
_FAILURE = re.compile(r"failed: |.*Kernel panic - not syncing|.*Out of memory: Killed process")


@dataclass(frozen=True, slots=True)
class Tick(Beat):
    """Each 10 ms."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All that is to be in memory is there, and the workload works."""


@dataclass(frozen=True, slots=True)
class Line:
    """Anything else."""

    text: str


Event = Tick | Work | Ready | Line | GuestFailure


class Console:
    """One reader per connection."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; what can be told by then, in its order."""
        events: list[Event] = []
        for byte in data:
            if byte == _BEAT:
                events.append(Tick())
            elif byte != ord("\n"):
                self._line.append(byte)
            if byte == ord("\n") or len(self._line) >= _LONGEST_LINE:
                events += self._told(self._line.decode(errors="replace").strip())
                self._line.clear()
        return events

    def _told(self, line: str) -> list[Event]:
        if (work := _WORK.fullmatch(line)) is not None:
            return [Work(int(work[1]))]
        if line == "ready":
            return [Ready()]
        if _FAILURE.match(line):
            return [GuestFailure(line)]
        return [Line(line)] if line else []
