"""What a guest that we did not make says on its serial console: bytes in, events out. No I/O."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from harness.guests.console import Beat, GuestFailure, Work

_LONGEST_LINE = 4096
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|.)")
_PANIC = re.compile(r"Kernel panic - not syncing")


@dataclass(frozen=True, slots=True)
class Line:
    """Any line, whatever else it means."""

    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The beginning of a line that has no end yet, such as a prompt."""

    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """It said what it says when it is ready."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress(Beat, Work):
    """A line that counts its work."""


Event = Line | Begun | Ready | Progress | GuestFailure


class SerialConsole:
    """One reader per connection. ``ready`` may match a line that has no end yet, as a prompt has none; ``progress`` whole lines."""

    def __init__(self, ready: re.Pattern[str] | None = None, progress: re.Pattern[str] | None = None) -> None:
        self._ready = ready
        self._progress = progress
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; what can be told by then."""
        *lines, self._begun = re.split(r"[\r\n]", self._begun + self._decoder.decode(data))
        if len(self._begun) > _LONGEST_LINE:
            lines.append(self._begun)
            self._begun = ""
        events = [event for line in lines if (seen := _plain(line)) for event in self._told(seen)]
        begun = _plain(self._begun)
        return [*events, *self._ready_by(begun), *([Begun(begun)] if begun else [])]

    def _told(self, line: str) -> list[Event]:
        events = self._ready_by(line)
        if self._progress is not None and (found := self._progress.search(line)) is not None:
            value = _number(found[1])
            events += [] if value is None else [Progress(value)]
        if _PANIC.search(line):
            events.append(GuestFailure(line))
        return [*events, Line(line)]

    def _ready_by(self, text: str) -> list[Event]:
        return [Ready(text)] if self._ready is not None and self._ready.search(text) else []


def _plain(line: str) -> str:
    return _ESCAPES.sub("", line).strip()


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
