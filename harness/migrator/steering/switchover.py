"""Decides what the source QEMU should believe, so that it stops its guest at the right moment. Pure: no clocks, no I/O.

QEMU stops the guest when the bytes left are at most (rate it believes) * (downtime-limit). Through the pair it believes
what its socket took, and does not see what is still under way behind that: the downtime is then

    bytes left / delivered rate  +  bytes under way / delivered rate  +  what every switch-over costs

less half a round trip: bytes count as under way until their arrival is known here, which is so much later than their arrival.

This turns the equation round: of the wanted downtime, what remains for the bytes left gives how many may be left, and that
one of QEMU's two parameters with which QEMU comes to this number.

What it bought (zstd 1 and isal 1, stress guest that dirties 20 and 50 MiB/s, 300 Mbit/s, by downtime-limit; runs over the wanted
downtime, and the longest; 2-core Intel Xeon, QEMU 7.2, 2026-11-25, n=20 each): of 100 ms, 1 instead of 7 and 118 instead of 148 ms,
but the median fell from 85 to 53 ms; of 300 ms, 9 instead of 8 and 343 instead of 351 ms: nothing. With 16 MiB under way and 300 ms
(zstd 1, n=5 each) 0 instead of 3, 280 instead of 352 ms. Total time was the same within its spread. What it cannot know is what the
last pass compresses to, and how many pages the pass before it left, which is why it is not done unless it is asked for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

FIXED_S = 0.010
"""Device state, handshake and start. With next to nothing left to send, the shortest downtimes from STOP to RESUME were 9 and 11 ms
(52 steered migrations of a stress guest, 2-core Intel Xeon, QEMU 7.2, 2026-11-25). With 30 ms they were needlessly short.
"""

_LOOK_S = 0.1
"""As often as QEMU measures its own rate."""

_SPAN_S = 0.8
"""Eight of QEMU's own measures of its rate, so that one that is far off counts little."""

_KNOWN_AFTER_S = 0.25
_LEAST_SHARE = 0.2
"""Where hardly anything remains for the bytes left: never ask for less than this share of the wanted downtime, or a guest
that could be moved would not."""

_NEXT_AFTER_S = 0.25
_WORTH_A_CHANGE = 0.1
"""At most four changes a second, none that QEMU's own measure (of 100 ms) would drown."""


class Knob(Enum):
    """The parameter that is turned: the first where QEMU has it (8.2 and later), else the second, which all have."""

    BANDWIDTH = "avail-switchover-bandwidth"
    LIMIT = "downtime-limit"


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known at a moment: bytes of the stream that the destination has, and that are under way to it.

    ``believed_bytes_per_s`` is QEMU's own measure of its rate, None or 0 where it has none yet.
    """

    now_s: float
    delivered_bytes: int
    in_flight_bytes: int
    believed_bytes_per_s: float | None = None
    round_trip_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A parameter's new value (milliseconds, or bytes a second) and what it was made of.

    For the shortest downtime also ``why`` the guest is to be stopped (``shortest.Why``), in which pass this was decided, and how
    long it will then stand still.
    """

    at_s: float
    parameter: str
    value: int
    delivered_bytes_per_s: float
    in_flight_bytes: int
    believed_bytes_per_s: float
    left_bytes: int
    why: str | None = None
    passes: int | None = None
    predicted_downtime_s: float | None = None


class Switchover:
    """Keeps the latest looks at the flow, and says when a parameter is worth a change.

    ``wanted_s``, the wanted downtime, may be changed at any time. With ``Knob.BANDWIDTH`` QEMU's downtime-limit is to be
    ``wanted_s``.
    """

    def __init__(self, wanted_s: float, knob: Knob) -> None:
        self.wanted_s = wanted_s
        self._knob = knob
        self._flows: deque[Flow] = deque()
        self._last: Decision | None = None

    @property
    def longest_s(self) -> float:
        """For how long the guest may stand still, and QEMU answer nobody."""
        return self.wanted_s

    @property
    def look_again_s(self) -> float:
        """How long until the next look."""
        return _LOOK_S

    def look(self, flow: Flow) -> Decision | None:
        """Take in one look; the change to make now, if any."""
        self._flows.append(flow)
        while flow.now_s - self._flows[0].now_s > _SPAN_S:
            self._flows.popleft()
        if (decision := self._decided(flow.now_s)) is None or not self._is_due(decision):
            return None
        self._last = decision
        return decision

    def forget(self) -> None:
        """Somebody else set the parameter: the next decision is due at once."""
        self._last = None

    def _decided(self, now_s: float) -> Decision | None:
        first, last = self._flows[0], self._flows[-1]
        took_s, moved_bytes = last.now_s - first.now_s, last.delivered_bytes - first.delivered_bytes
        if took_s < _KNOWN_AFTER_S or moved_bytes <= 0:
            return None
        rate = moved_bytes / took_s
        in_flight_bytes = sum(flow.in_flight_bytes for flow in self._flows) // len(self._flows)
        known = [flow.believed_bytes_per_s for flow in self._flows if flow.believed_bytes_per_s]
        believed = sum(known) / len(known) if known else rate
        left_bytes = rate * (self.wanted_s - FIXED_S + last.round_trip_s / 2) - in_flight_bytes
        left_bytes = max(left_bytes, rate * self.wanted_s * _LEAST_SHARE)
        value = self._value(left_bytes, believed)
        return Decision(now_s, self._knob.value, value, rate, in_flight_bytes, believed, round(left_bytes))

    def _value(self, left_bytes: float, believed_bytes_per_s: float) -> int:
        """Never above the wanted downtime, nor above the rate that it stands for."""
        if self._knob is Knob.BANDWIDTH:
            return max(1, round(left_bytes / self.wanted_s))
        share = left_bytes / (believed_bytes_per_s * self.wanted_s)
        return max(1, round(1000 * self.wanted_s * min(1.0, max(_LEAST_SHARE, share))))

    def _is_due(self, decision: Decision) -> bool:
        last = self._last
        if last is None:
            return True
        if decision.at_s - last.at_s < _NEXT_AFTER_S:
            return False
        return abs(decision.value - last.value) >= max(1.0, _WORTH_A_CHANGE * last.value)
