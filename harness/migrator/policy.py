"""Decides how much may be in flight and how large a batch is. Pure: rates come in as numbers, no clocks, no I/O.

Whatever is in flight when the source stops its guest is downtime that QEMU cannot see, so the window is a few tens of
milliseconds of what the destination was seen to take, not a constant: at 62.5 MB/s, windows of 1, 16 and 64 MiB gave 41,
328 and 1062 ms from STOP to RESUME while QEMU itself said 6, 54 and 6 (AMD EPYC, QEMU 7.2, single runs).
"""

from __future__ import annotations

from collections import deque

__all__ = ["FlightPolicy"]

_TARGET_S = 0.035
"""With 25 ms, zlib 1 on 12/3 threads took 0.62 of the time of QEMU's compress; with 35 ms, and so larger batches, 0.52 and 0.57.
Uncompressed, STOP to RESUME stayed within 12 ms of QEMU's alone (1 Gbit/s, 2-core AMD EPYC, 2026-11-22, n=5 each).
"""

_SPAN_S = 0.2
_FIRST_BYTES = 2 << 20
_FLOOR_BYTES = 256 << 10
_CEILING_BYTES = 32 << 20
_SMALLEST_BATCH_BYTES = 64 << 10


class FlightPolicy:
    """Keeps the delivered rate of the last ``_SPAN_S`` and gives the window and the batch size that follow from it.

    A source that pauses lowers the measured rate and so the window; that heals by itself, as a window of ``_TARGET_S``
    is larger than the pair's own latency and every full window raises the rate again.
    """

    def __init__(
        self,
        preferred_batch_bytes: int,
        lanes: int,
        fixed_window_bytes: int | None = None,
        *,
        expected_bytes_per_s: float | None = None,
    ) -> None:
        """``expected_bytes_per_s``: begin with less in flight, where the usual would be much for a rate that is expected."""
        self._preferred_batch_bytes = preferred_batch_bytes
        self._lanes = lanes
        self._fixed_window_bytes = fixed_window_bytes
        self._arrivals: deque[tuple[float, int]] = deque()
        first_bytes = max(_FIRST_BYTES, self._wanted_batches * preferred_batch_bytes)
        if expected_bytes_per_s is not None:
            first_bytes = max(_FLOOR_BYTES, min(first_bytes, round(expected_bytes_per_s * _TARGET_S)))
        self.window_bytes = fixed_window_bytes or first_bytes
        self.rate_bytes_per_s: float | None = None

    @property
    def _wanted_batches(self) -> int:
        """One with each codec thread, one waiting for each, and one each for the reader and the link."""
        return 2 * self._lanes + 2

    @property
    def batch_bytes(self) -> int:
        """The preferred size, or less where the window is too small for enough of them."""
        return max(_SMALLEST_BATCH_BYTES, min(self._preferred_batch_bytes, self.window_bytes // self._wanted_batches))

    def delivered(self, now_s: float, total_bytes: int) -> None:
        """The destination has taken ``total_bytes`` since the start, as known at ``now_s``."""
        self._arrivals.append((now_s, total_bytes))
        while len(self._arrivals) > 2 and now_s - self._arrivals[1][0] >= _SPAN_S:
            self._arrivals.popleft()
        first_s, first_bytes = self._arrivals[0]
        if now_s - first_s < _SPAN_S / 4 or self._fixed_window_bytes is not None:
            return
        self.rate_bytes_per_s = (total_bytes - first_bytes) / (now_s - first_s)
        wanted = round(self.rate_bytes_per_s * _TARGET_S)
        self.window_bytes = max(_FLOOR_BYTES, min(_CEILING_BYTES, wanted))
