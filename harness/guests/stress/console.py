"""What the stress guest says on COM1, read without I/O: bytes go in, events come out.

Two languages share the line. Heartbeats are ten bytes above 0x7f: 11xxxxxx, then nine times 10xxxxxx, six bits each;
high to low the tick count (24 bits) and the time-stamp counter divided by 1024 (36 bits). Reports are lines of ASCII, and so is
its count of pages written, ten times a second.
So a reader that joins late finds the next heartbeat and the next line by itself. Knows no clock: who reads the socket
notes when bytes arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from harness.guests.console import Beat, GuestFailure, Work

__all__ = ["Command", "Console", "Event", "GuestFailure", "Heartbeat", "Noise", "Status", "VerifyReport", "Work"]

_BEAT_BYTES = 10
_TSC_BITS = 36
_TSC_SHIFT = 10
_TICK_BITS = 24
_LONGEST_LINE = 4096


class Command(Enum):
    """What the host may send, a byte each; the guest takes one per tick (10 ms)."""

    VERIFY = b"v"
    PAUSE = b"p"
    RESUME = b"r"
    STATUS = b"s"


@dataclass(frozen=True, slots=True)
class Heartbeat(Beat):
    """Sent at each tick of the guest's 100 Hz timer, before the tick's work. ``tsc`` counts cycles in steps of 1024."""

    tick: int
    tsc: int


@dataclass(frozen=True, slots=True)
class Status:
    """``kind`` "ready" comes once, when the working set is stamped; "status" answers a command.

    ``dropped_ticks``: ticks whose pages the guest did not dirty because it was stalled for more than 10 of them.
    """

    kind: Literal["ready", "status"]
    pages: int
    writes: int
    paused: bool
    dropped_ticks: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The guest's check of every page of its working set.

    ``problem`` names what is wrong with ``first_bad``: "corrupt" (checksum), "misplaced" (another page's content),
    "stale" (an older content of this page) or "forged" (content that its numbers do not give). ``expected`` and ``actual``
    are its sequence numbers. ``sequence_sum``, over all pages, must equal ``writes``, the guest's own count.
    """

    problem: Literal["none", "corrupt", "misplaced", "stale", "forged"]
    checked: int
    bad: int
    first_bad: int | None
    expected: int
    actual: int
    writes: int
    sequence_sum: int

    @property
    def ok(self) -> bool:
        """Every page is as it was last written, and no write is missing."""
        return self.bad == 0 and self.problem == "none" and self.writes == self.sequence_sum

    @property
    def line(self) -> str:
        """One line for ``Run.verification``."""
        if self.ok:
            return f"guest: {self.checked} working-set pages hold what was written last, {self.writes} writes"
        if self.bad:
            return (
                f"guest: {self.bad} of {self.checked} working-set pages are wrong; page {self.first_bad} is {self.problem}"
                f" (sequence {self.actual}, expected {self.expected})"
            )
        return f"guest: {self.writes} writes, but the pages' sequence numbers add up to {self.sequence_sum}"


@dataclass(frozen=True, slots=True)
class Noise:
    """A line, or part of one, that is none of the guest's."""

    text: str


Event = Heartbeat | Work | Status | VerifyReport | GuestFailure | Noise

_PROBLEMS: dict[str, Literal["none", "corrupt", "misplaced", "stale", "forged"]] = {
    "none": "none",
    "corrupt": "corrupt",
    "misplaced": "misplaced",
    "stale": "stale",
    "forged": "forged",
}


class Console:
    """One reader per connection: ``feed`` it what arrived."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._beat = 0
        self._beat_bytes = 0
        self._last = Heartbeat(0, 0)

    def feed(self, data: bytes) -> list[Event]:
        """Bytes, cut anywhere -> what the guest has said by then, in its order."""
        events: list[Event] = []
        for byte in data:
            if byte >= 0x80:
                events += self._take_beat_byte(byte)
            elif byte != ord("\n"):
                self._line.append(byte)
            if byte == ord("\n") or len(self._line) >= _LONGEST_LINE:
                events.append(_parse_line(self._line.decode("ascii")))
                self._line.clear()
        return events

    def _take_beat_byte(self, byte: int) -> list[Event]:
        if byte & 0x40:
            self._beat, self._beat_bytes = byte & 0x3F, 1
        elif self._beat_bytes:
            self._beat, self._beat_bytes = self._beat << 6 | byte & 0x3F, self._beat_bytes + 1
        if self._beat_bytes != _BEAT_BYTES:
            return []
        self._beat_bytes = 0
        tick = _unwrap(self._beat >> _TSC_BITS, self._last.tick, _TICK_BITS)
        tsc = _unwrap(self._beat & (1 << _TSC_BITS) - 1, self._last.tsc >> _TSC_SHIFT, _TSC_BITS) << _TSC_SHIFT
        self._last = Heartbeat(tick, tsc)
        return [self._last]


def _unwrap(value: int, last: int, bits: int) -> int:
    """The first number from ``last`` on whose low bits are ``value``."""
    return last + (value - last) % (1 << bits)


def _parse_line(line: str) -> Event:
    kind, _, rest = line.partition(" ")
    if kind in ("refused", "fault"):
        return GuestFailure(line)
    fields = dict(word.partition("=")[::2] for word in rest.split())
    try:
        if kind == "verify":
            return _verify(fields)
        if kind == "work":
            return Work(int(fields["writes"]))
        if kind in ("ready", "status"):
            return Status(
                kind="ready" if kind == "ready" else "status",
                pages=int(fields["pages"]),
                writes=int(fields["writes"]),
                paused=fields["paused"] == "1",
                dropped_ticks=int(fields["dropped_ticks"]),
            )
    except (KeyError, ValueError):
        pass  # a line cut at its start or in its middle
    return Noise(line)


def _verify(fields: dict[str, str]) -> VerifyReport:
    bad = int(fields["bad"])
    return VerifyReport(
        problem=_PROBLEMS[fields["problem"]],
        checked=int(fields["checked"]),
        bad=bad,
        first_bad=int(fields["first_bad"]) if bad else None,
        expected=int(fields["expected"]),
        actual=int(fields["actual"]),
        writes=int(fields["writes"]),
        sequence_sum=int(fields["sum"]),
    )
