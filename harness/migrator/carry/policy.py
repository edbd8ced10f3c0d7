"""Decides how much may be in flight and how large a batch is. Pure: rates come in as numbers, no clocks, no I/O.

Whatever waits when the source stops its guest is downtime that QEMU cannot see, so a few tens of milliseconds of what the
destination was seen to take may wait, not a constant: at 62.5 MB/s, windows of 1, 16 and 64 MiB gave 41, 328 and 1062 ms from
STOP to RESUME while QEMU itself said 6, 54 and 6 (AMD EPYC, QEMU 7.2, single runs).

What travels does not wait. A link holds its rate times its round trip, and is idle in between if it is given less: 330 MiB at
200 Mbit/s took 72 s at a round trip of 50 ms when the window did not know of it, and QEMU alone 14. So the window is

    delivered rate * (round trip + what may wait)

and while nothing waits it is the window that holds the rate down: then it doubles in every round trip, as TCP's does at its start.
"""

from __future__ import annotations

import math
from collections import deque

_WAITING_S = 0.035
"""With 25 ms, zlib 1 on 12/3 threads took 0.62 of the time of QEMU's compress; with 35 ms, and so larger batches, 0.52 and 0.57.
Uncompressed, STOP to RESUME stayed within 12 ms of QEMU's alone (1 Gbit/s, 2-core AMD EPYC, 2026-11-22, n=5 each).
"""

_AHEAD_S, _AHEAD_BYTES, _AHEAD_PART = 0.3, 32 << 20, 8
"""In the first pass, far from its end: so much may wait, so that the link has work while there is little of it (zeros, memory that
shrinks to nothing), at most this part of what the pass has still to come to. QEMU stops the guest once what is left could be sent
in its downtime limit, so that by then an eighth of that limit waits at most. An idle Linux guest of 512 MiB, of which four fifths
are zeros, took with 35, 150 and 300 ms 2392, 2294 and 2229 ms at 100 Mbit/s, and 1026, 894 and 871 ms at 300 Mbit/s (zstd-long 3,
live, 2-core Intel Xeon, 2026-11-29, n=7 with 35 ms, else 3); with 500 ms to the very end 2208 and 818 ms."""

_CALM_S, _CALM_BYTES = 0.010, 1 << 20
"""While the source may stop its guest at any moment. Of less than so many bytes batches are so small that they cost the rate."""

_SPAN_S = 0.2
_FIRST_BYTES = 2 << 20
_FLOOR_BYTES = 256 << 10
_MOST_WAITING_BYTES, _CEILING_BYTES = 32 << 20, 256 << 20
"""1 Gbit/s over 300 ms hold 40 MB of what is sent, and at ratio 5 most of this of what is read."""

_SMALLEST_BATCH_BYTES = 64 << 10


class FlightPolicy:
    """Keeps the delivered rate of the last ``_SPAN_S`` and gives the window and the batch size that follow from it.

    A source that pauses changes nothing: the window follows the rate only while it is full. ``calm``: the source may stop its guest
    at any moment, so that little is to wait.
    """

    def __init__(
        self,
        preferred_batch_bytes: int,
        lanes: int,
        fixed_window_bytes: int | None = None,
        *,
        expected_bytes_per_s: float | None = None,
        round_trip_s: float = 0.0,
    ) -> None:
        """``expected_bytes_per_s``: begin with what suits this rate, over a link of which ``round_trip_s`` is known."""
        self._preferred_batch_bytes = preferred_batch_bytes
        self._lanes = lanes
        self._fixed_window_bytes = fixed_window_bytes
        self._arrivals: deque[tuple[float, int]] = deque()
        self.calm = False
        self._left_bytes = 0
        first_bytes = max(_FIRST_BYTES, self._wanted_batches * preferred_batch_bytes)
        if expected_bytes_per_s is not None:
            waiting_bytes = min(first_bytes, round(expected_bytes_per_s * self._waiting_s))
            first_bytes = _bounded(waiting_bytes + round(expected_bytes_per_s * round_trip_s), round_trip_s)
        self.window_bytes = self._near_bytes = fixed_window_bytes or first_bytes
        self._round_trip_s = round_trip_s
        self.rate_bytes_per_s: float | None = None
        self.growing = False

    @property
    def _waiting_s(self) -> float:
        return _CALM_S if self.calm else _WAITING_S

    @property
    def _most_ahead_bytes(self) -> int:
        return 0 if self.calm else min(_AHEAD_BYTES, self._left_bytes // _AHEAD_PART)

    def first_pass_left(self, count: int) -> None:
        """The source's first pass over memory has ``count`` bytes still to come to: the window shrinks at once to what may wait
        then."""
        self._left_bytes = count
        if self._fixed_window_bytes is None:
            self.window_bytes = min(self.window_bytes, max(self._near_bytes, self._most_ahead_bytes))

    @property
    def _wanted_batches(self) -> int:
        """One with each codec thread, one waiting for each, and one each for the reader and the link."""
        return 2 * self._lanes + 2

    @property
    def batch_bytes(self) -> int:
        """The preferred size, or less where what may wait is too little for enough of them."""
        waiting_bytes = self.window_bytes * self._waiting_s / (self._round_trip_s + self._waiting_s)
        return max(
            _SMALLEST_BATCH_BYTES, min(self._preferred_batch_bytes, round(waiting_bytes) // self._wanted_batches)
        )

    def delivered(
        self,
        now_s: float,
        total_bytes: int,
        *,
        took_s: float = math.inf,
        round_trip_s: float = 0.0,
        full: bool = True,
        emptying: bool = False,
    ) -> None:
        """The destination has taken ``total_bytes`` since the start, as known at ``now_s``.

        ``took_s``: of the latest batch, since it was taken from the source; ``round_trip_s``: of a link in which nothing waits;
        ``full``: since then a batch had to wait for room in the window; ``emptying``: nothing is to wait now.
        """
        self._round_trip_s = round_trip_s
        count = total_bytes - self._arrivals[-1][1] if self._arrivals else 0
        self._arrivals.append((now_s, total_bytes))
        span_s = round_trip_s + self._waiting_s if self.growing else max(_SPAN_S, round_trip_s + self._waiting_s)
        while len(self._arrivals) > 2 and now_s - self._arrivals[1][0] >= span_s:
            self._arrivals.popleft()
        far = round_trip_s >= self._waiting_s / 2  # where it is not, the rate alone lets the window grow as fast
        self.growing = far and full and not emptying and took_s < round_trip_s + self._waiting_s / 2
        if self._fixed_window_bytes is not None or not full:
            return
        held_s = round_trip_s / 2 if emptying else round_trip_s + self._waiting_s
        wanted = self._wanted_bytes(now_s, total_bytes, held_s)
        if self.calm and wanted is not None:
            wanted = max(wanted, min(self.window_bytes, _CALM_BYTES))
        if self.growing:
            wanted = max(wanted or 0, self.window_bytes + count)
        if wanted is not None:
            self._near_bytes = _bounded(wanted, round_trip_s)
            self.window_bytes = self._near_bytes if emptying else max(self._near_bytes, self._ahead_bytes)

    @property
    def _ahead_bytes(self) -> int:
        return min(self._most_ahead_bytes, round((self.rate_bytes_per_s or 0.0) * (self._round_trip_s + _AHEAD_S)))

    def _wanted_bytes(self, now_s: float, total_bytes: int, held_s: float) -> int | None:
        """What arrives in ``held_s``. None: too little was seen to know."""
        first_s, first_bytes = self._arrivals[0]
        if now_s - first_s < max(_SPAN_S / 4, self._round_trip_s / 2):
            return None
        self.rate_bytes_per_s = (total_bytes - first_bytes) / (now_s - first_s)
        return round(self.rate_bytes_per_s * held_s)


def _bounded(window_bytes: int, round_trip_s: float) -> int:
    most_bytes = min(_CEILING_BYTES, round(_MOST_WAITING_BYTES * (1 + round_trip_s / _WAITING_S)))
    return max(_FLOOR_BYTES, min(most_bytes, window_bytes))
