"""What is under way between source and destination: how much there may be, since when, and what that tells of the link.

take (reader) -> codec threads -> handed (writer) -> link -> arrived (back thread), on each channel
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable

from backends.api import MOST_HELD_BYTES
from harness.errors import PeerError
from harness.migrator.carry.pipeline import Window
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.carry.round_trip import RoundTrip

_HELD_PART = 4
"""What is held is late by as long as the rest of it takes to come."""

_FAR_S = 0.005
"""From this round trip on the link itself is most of what a page waits for, and batches for so little that may wait are too small:
over 40 ms post-copy took 6.0 and 5.0 s, 7.4 and 6.4 CPU s, with 10 ms under way, and 3.0 and 2.9 s, 4.6 CPU s, with 35 (zstd 1
without and with preempt, 512 MiB, 1 Gbit/s, 2-core Intel Xeon, 2026-11-28, n=1 and 2)."""


class Budget:
    """What may be under way, of all channels of a migration together. ``round_trip_s``: of the link while it was idle.

    ``growing_s``: for how long the window was what held the rate down; ``flights``: how many share it. Any thread may ask and call.
    """

    def __init__(self, policy: FlightPolicy, round_trip_s: float) -> None:
        self.window = Window(policy.window_bytes)
        self.arrived_bytes = 0
        self.growing_s = 0.0
        self._policy = policy
        self._round_trip = RoundTrip(round_trip_s)
        self._lock = threading.Lock()
        self._arrived_s = time.monotonic()
        self._full_s = 0.0
        self.flights = 0

    @property
    def batch_bytes(self) -> int:
        """How large the next batch is to be."""
        return self._policy.batch_bytes

    @property
    def calm(self) -> bool:
        """Whether less is to wait: the source may stop its guest at any moment, or the destination's waits for single pages."""
        return self._policy.calm

    @calm.setter
    def calm(self, calm: bool) -> None:
        self._policy.calm = calm

    def first_pass_left(self, count: int) -> None:
        """The source's first pass over memory has ``count`` bytes still to come to: see ``RamSection``. Where pages come over
        several connections one alone does not tell."""
        with self._lock:
            self._policy.first_pass_left(count if self.flights == 1 else 0)
            self._resize()

    def serve_pages(self) -> None:
        """The destination's guest waits for single pages: less is to wait, unless the link is long."""
        if self.round_trip_s < _FAR_S:
            self.calm = True

    @property
    def in_flight_bytes(self) -> int:
        """Taken and not arrived, on all channels."""
        return self.window.all_in_flight_bytes

    @property
    def most_held_bytes(self) -> int:
        """How much of it a codec with history may keep until more comes."""
        return min(MOST_HELD_BYTES, self.window.limit_bytes // _HELD_PART)

    @property
    def round_trip_s(self) -> float:
        """Of a link in which nothing waits, as known now."""
        return self._round_trip.base_s

    def waits(self) -> None:
        """A batch waits for room, until ``took``."""
        self._full_s = math.inf

    def took(self, now_s: float) -> None:
        """A batch has its room."""
        self._full_s = now_s if self._full_s == math.inf else self._full_s

    def arrived(self, now_s: float, count: int, taken_s: float, travelled_s: float) -> None:
        """``count`` more bytes arrived, taken from the source at ``taken_s``, and ``travelled_s`` on the link there and back."""
        with self._lock:
            self._round_trip.seen(now_s, max(0.0, travelled_s))
            self.arrived_bytes += count
            if self._policy.growing:
                self.growing_s += now_s - self._arrived_s
            self._arrived_s = now_s
            self._policy.delivered(
                now_s,
                self.arrived_bytes,
                took_s=now_s - taken_s,
                round_trip_s=self.round_trip_s,
                full=self._full_s >= taken_s,
                emptying=self._round_trip.wants_emptying,
            )
            self._resize()

    def _resize(self) -> None:
        if self._policy.window_bytes != self.window.limit_bytes:
            self.window.resize(self._policy.window_bytes)


class Flight:
    """One channel's part of a budget. Batches pass ``take``, ``handed`` and ``arrived`` in the same order, each from one thread.

    ``has_hung_up``: see ``Window``. ``urgent``: it waits for no room; who sends it bounds it.
    """

    def __init__(
        self, budget: Budget, has_hung_up: Callable[[], bool] = lambda: False, *, urgent: bool = False
    ) -> None:
        self._budget = budget
        budget.flights += 1
        self._window = budget.window.beside(has_hung_up, unbounded=urgent)
        self._taken: deque[tuple[int, float]] = deque()
        self._handed_s: deque[float] = deque()
        self.arrived_bytes = 0

    @property
    def in_flight_bytes(self) -> int:
        """Taken and not arrived."""
        return self._window.in_flight_bytes

    def take(self, count: int) -> bool:
        """Wait until a batch of ``count`` bytes may be under way too. False: closed."""
        if not self._window.has_room(count):
            self._budget.waits()
        if not self._window.acquire(count):
            return False
        now_s = time.monotonic()
        self._budget.took(now_s)
        self._taken.append((count, now_s))
        return True

    def hurry(self) -> None:
        """Take the next batches sooner: see ``Window``."""
        self._window.hurry()

    def handed(self) -> None:
        """The next batch is about to be given to the kernel."""
        self._handed_s.append(time.monotonic())

    def arrived(self, total_bytes: int, held_s: float) -> None:
        """The destination confirms the next batch, ``total_bytes`` in all, which the receiver had for ``held_s``.

        :raises PeerError: no batch ends there.
        """
        count = total_bytes - self.arrived_bytes
        if not self._taken or not self._handed_s or count != self._taken[0][0]:
            raise PeerError(f"the receiver acknowledged byte {total_bytes}, where no batch that was sent ends")
        now_s = time.monotonic()
        (_, taken_s), handed_s = self._taken.popleft(), self._handed_s.popleft()
        self.arrived_bytes = total_bytes
        self._window.release(count)
        self._budget.arrived(now_s, count, taken_s, now_s - handed_s - held_s)

    def close(self) -> None:
        """Wake whoever waits to take; nothing is bounded any more."""
        self._window.close()
