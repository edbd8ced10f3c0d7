"""Decides in which pass the source QEMU stops its guest, so that it stands still as briefly as its writes allow. Pure: no clocks,
no I/O. Knows no pair: QEMU alone is judged alike, with nothing under way.

QEMU goes over memory in passes: each sends what was written during the one before. If it stops the guest now, the downtime is

    T  =  (bytes left + bytes under way) / rate                      (and ``FIXED_S``, which every switch-over costs)

One more pass takes (bytes left / rate), and leaves what the guest writes meanwhile:

    T' =  (write rate * bytes left / rate + bytes under way) / rate

It shortens the downtime by T - T', and the migration takes T' longer. So, at the begin of each pass:

- what is left takes at most ``FLOOR_S``: next to nothing, and QEMU stops the guest.
- T is above QEMU's own downtime-limit: QEMU alone would go on too. But when no pass gets shorter, none will: it ends here.
- else one more pass is worth it if taking away (T - T') / T of the downtime costs less than that part of the share of total time
  that all of it may cost, and what such passes have cost is within that share too.

Until it is decided QEMU is allowed ``FLOOR_S`` only. It reads its parameters ten times a second, and measures what its socket
took: in short passes next to nothing, so that a limit which stays as it is would be met by none of them. Hence the bytes that may
be left are what is decided, and the parameter is made of them and of what QEMU believes at the moment.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from harness.migrator.steering.switchover import FIXED_S, Decision, Knob
from harness.results.stops import Why

FLOOR_S = 0.010
"""What is left is not worth a pass: to look for written pages and to turn round takes as long."""

_PASS_S = 0.005
"""What a pass takes beside its bytes."""

_SPAN_S = 0.5
_SLOWEST, _FASTEST = 1.0, 1e15
"""Bytes per second: beyond them stands no link, but a division by next to nothing."""

_MOSTLY_ZERO = 0.5
_SHRINKS = 0.9
_PATIENCE = 2
"""Passes in a row, none of which is a tenth shorter than the shortest so far: as long as the guest goes on so, none will be."""

_ROOM = 1.25
_RAISE, _RAISE_AFTER_S = 1.5, 0.3
"""What may be left, beyond what was seen to be, when the guest is to be stopped; and how that grows until it is."""

_SOON_S, _LOOK_S, _SOON_LOOK_S = 0.3, 0.1, 0.02
_CLOSING_S = 0.1
_NEXT_AFTER_S, _WORTH_A_CHANGE = 0.1, 0.25
_LARGEST_MS = 2_000_000
_LEAST_BELIEVED = 0.25
"""Of the rate. What QEMU believes may rise within a tenth of a second, and then this is by how much too much may be left."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a migration. ``passes`` that have begun; ``left_bytes`` of this one; ``sent_bytes`` of pages that were not zero,
    since the begin, of which ``in_flight_bytes`` are still under way. ``believed_bytes_per_s`` as ``Flow``'s."""

    now_s: float
    passes: int
    left_bytes: int
    sent_bytes: int
    in_flight_bytes: int = 0
    believed_bytes_per_s: float | None = None


class Shortest:
    """``limit_s``: QEMU's own downtime-limit. ``cost_share``: of the total time, that may be spent on a shorter downtime.

    With ``Knob.BANDWIDTH`` QEMU's downtime-limit is to be ``FLOOR_S`` meanwhile. Whoever calls sets what ``look`` returns.
    """

    def __init__(self, limit_s: float, cost_share: float, knob: Knob) -> None:
        self._limit_s, self._share, self._knob = limit_s, cost_share, knob
        self._looks: deque[tuple[float, float]] = deque()
        self._busy_s = 0.0
        self._last: Progress | None = None
        self._began_s = self._pass_began_s = math.nan
        self._total_s: float | None = None
        self._best_s, self._stuck = math.inf, 0
        self._why, self._allowed_s, self._expected_s = Why.LITTLE, FLOOR_S, FLOOR_S
        self._due_s = math.inf  # since when QEMU was to stop the guest
        self._said: Decision | None = None

    @property
    def longest_s(self) -> float:
        """For how long the guest may stand still, and QEMU answer nobody."""
        return max(self._limit_s, self._allowed_s)

    @property
    def closing(self) -> bool:
        """Whether the guest may be stopped at any moment, so that little should be under way."""
        return self._ends_within(_CLOSING_S)

    @property
    def look_again_s(self) -> float:
        """How long until the next look."""
        return _SOON_LOOK_S if self._ends_within(_SOON_S) else _LOOK_S

    def _ends_within(self, wait_s: float) -> bool:
        """Whether this pass does."""
        rate, last = self._rate(), self._last
        return last is not None and bool(rate) and last.left_bytes <= wait_s * (rate or 0.0)

    def look(self, now: Progress) -> Decision | None:
        """Take in one look; the change to make now, if any."""
        last, self._last = self._last, now
        if last is None:
            self._began_s = self._pass_began_s = now.now_s
            return None
        if now.passes == last.passes:
            self._learn(last, now)
        if not (rate := self._rate()):
            return None
        if now.passes > last.passes:
            self._judge(now, (now.now_s - self._pass_began_s) / (now.passes - last.passes), rate)
            self._pass_began_s = now.now_s
        if now.now_s - self._due_s >= _RAISE_AFTER_S:
            self._allowed_s, self._due_s = self._allowed_s * _RAISE, now.now_s
        if self._said is not None and now.passes < 2 and not self._ends_within(_SOON_S):
            return None  # what is in force is as good
        return self._changed(self._decision(now, rate))

    def forget(self) -> None:
        """What was said is not in force: the next decision is due at once."""
        self._said = None

    # ------------------------------------------------------------------ the rate

    def _learn(self, last: Progress, now: Progress) -> None:
        """Between two looks at one pass. Zero pages are passed by without being sent, and say nothing of the rate."""
        took_s, sent = now.now_s - last.now_s, now.sent_bytes - last.sent_bytes
        if took_s <= 0 or sent < _MOSTLY_ZERO * (last.left_bytes - now.left_bytes):
            return
        self._looks.append((took_s, max(0, sent - now.in_flight_bytes + last.in_flight_bytes)))
        self._busy_s += took_s
        while len(self._looks) > 1 and self._busy_s - self._looks[0][0] >= _SPAN_S:
            self._busy_s -= self._looks.popleft()[0]

    def _rate(self) -> float | None:
        """At which memory is carried while there is some to carry; None: not known yet, or no rate that a link has."""
        rate = None if self._last is None else self._last.believed_bytes_per_s
        if self._looks and (moved := sum(sent for _, sent in self._looks)):
            rate = moved / sum(took_s for took_s, _ in self._looks)
        return rate if rate is not None and _SLOWEST <= rate <= _FASTEST else None

    # ------------------------------------------------------------------ the decision

    def _judge(self, now: Progress, took_s: float, rate: float) -> None:
        """At the begin of a pass; the one before took ``took_s``."""
        under_way_s, left_s = now.in_flight_bytes / rate, now.left_bytes / rate
        stop_s = left_s + under_way_s
        if left_s <= self._allowed_s:
            self._due_s = min(self._due_s, now.now_s)
            return
        self._due_s = math.inf
        if self._why is not Why.LITTLE:  # the guest wrote more than was thought
            self._expected_s, self._allowed_s = left_s, left_s * _ROOM
            return
        write_rate = now.left_bytes / took_s if took_s > 0 else math.inf
        then_s = write_rate * left_s / rate + under_way_s
        if (why := self._reason(now.now_s - self._began_s, stop_s, then_s)) is not None:
            self._why, self._expected_s, self._allowed_s = why, left_s, left_s * _ROOM

    def _reason(self, elapsed_s: float, stop_s: float, then_s: float) -> Why | None:
        """To stop the guest now for ``stop_s``, and not after one more pass for ``then_s``; None: go on."""
        if self._total_s is None and stop_s <= self._limit_s:
            self._total_s = elapsed_s + stop_s
        if self._total_s is None:
            self._stuck = 0 if stop_s < _SHRINKS * self._best_s else self._stuck + 1
            self._best_s = min(self._best_s, stop_s)
            return Why.STUCK if self._stuck >= _PATIENCE else None
        affordable_s, cost_s = self._share * self._total_s, then_s + _PASS_S
        if cost_s > affordable_s * (1 - then_s / stop_s):
            return Why.DEAR
        return Why.SPENT if elapsed_s + stop_s + cost_s > self._total_s + affordable_s else None

    # ------------------------------------------------------------------ what it is made of

    def _decision(self, now: Progress, rate: float) -> Decision:
        left_bytes = rate * self._allowed_s
        believed = max(now.believed_bytes_per_s or rate, _LEAST_BELIEVED * rate)
        if self._knob is Knob.BANDWIDTH:
            value = max(1000, round(left_bytes / FLOOR_S))
        else:
            value = min(_LARGEST_MS, max(1, math.ceil(1000 * left_bytes / believed)))
        return Decision(
            now.now_s, self._knob.value, value, rate, now.in_flight_bytes, believed, round(left_bytes),
            why=self._why.value, passes=now.passes, predicted_downtime_s=self._expected_s + now.in_flight_bytes / rate + FIXED_S,
        )  # fmt: skip

    def _changed(self, decision: Decision) -> Decision | None:
        said = self._said
        if said is not None and decision.why == said.why:
            if decision.at_s - said.at_s < _NEXT_AFTER_S:
                return None
            if abs(decision.value - said.value) < max(1.0, _WORTH_A_CHANGE * said.value):
                return None
        self._said = decision
        return decision
