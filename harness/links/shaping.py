"""What a link does to bytes in time: a token bucket, then a delay line. No I/O: times come in and go out.

The relay's sizes stand here too: how much it takes at once, its socket buffers, and what its delay lines hold.
"""

from __future__ import annotations

import random
from collections import deque

# 2-core AMD EPYC, 2026-11-22, shared with other work, one flow of 2 s, n = 2: unlimited 1.51 and 1.56 GB/s, where loopback
# without a relay carried 1.73 and 2.07. Limited (n = 1): within 0.3 % of 25 Mbit/s to 1 Gbit/s with one flow and with three;
# of 10 Gbit/s 93 % with one flow, 100 % with three. Waiting before the bucket when the destination stands still:
# 4.5 ms of the link at 1 Gbit/s, 5.2 ms at 100 Mbit/s, 13 ms at 25 Mbit/s (two segments and the smallest buffers).
_UNLIMITED_CHUNK_BYTES = 1 << 20
_MINIMUM_CHUNK_BYTES = 4 << 10
_CHUNK_S = 0.001
_BURST_S = 0.004
_MINIMUM_BUFFER_BYTES = 16 << 10
_BUFFER_S = 0.002
UNLIMITED_LINE_BYTES = 256 << 20
"""In one direction of one connection of an unlimited link with a delay: 2.7 GB/s at 100 ms, more than loopback carries."""
# A relay that the machine wakes this much too late still keeps the rate, as far as the bucket's burst lets it.
_LINE_SPARE_S = 0.01


def chunk_bytes(bytes_per_s: float | None) -> int:
    """How much is taken from a socket at once: a millisecond of the link, so that a wake-up per chunk keeps the rate."""
    if bytes_per_s is None:
        return _UNLIMITED_CHUNK_BYTES
    return max(_MINIMUM_CHUNK_BYTES, min(_UNLIMITED_CHUNK_BYTES, round(bytes_per_s * _CHUNK_S)))


def buffer_bytes(bytes_per_s: float | None) -> int | None:
    """Each socket buffer of a limited link: two milliseconds of it, for what waits here is downtime nobody reports."""
    return None if bytes_per_s is None else max(_MINIMUM_BUFFER_BYTES, round(bytes_per_s * _BUFFER_S))


def line_bytes(bytes_per_s: float | None, longest_s: float) -> int:
    """What a delay line holds at most: all that a link so long has under way at its rate, and a little."""
    if bytes_per_s is None:
        return UNLIMITED_LINE_BYTES
    return round(bytes_per_s * (longest_s + _LINE_SPARE_S)) + 2 * chunk_bytes(bytes_per_s)


class TokenBucket:
    """Says when bytes may leave. Sleeps that last too long are made up for, up to ``burst_s`` of the rate."""

    def __init__(self, bytes_per_s: float | None, burst_s: float = _BURST_S) -> None:
        self._bytes_per_s = bytes_per_s
        self._burst_s = burst_s
        self._free_at_s = float("-inf")

    def set_rate(self, bytes_per_s: float) -> None:
        """From the next reservation on."""
        self._bytes_per_s = bytes_per_s

    def reserve(self, count: int, now_s: float) -> float:
        """The time at which ``count`` bytes may leave (never before ``now_s``); they count as sent from this call on."""
        if self._bytes_per_s is None:
            return now_s
        start_s = max(self._free_at_s, now_s - self._burst_s)
        self._free_at_s = start_s + count / self._bytes_per_s
        return max(now_s, self._free_at_s)


class Delay:
    """How long one direction of a link is: ``delay_s``, and up to ``jitter_s`` more, evenly spread, the same in each run."""

    def __init__(self, delay_s: float, jitter_s: float, seed: int) -> None:
        self.delay_s = delay_s
        self.jitter_s = jitter_s
        self._chance = random.Random(seed)  # noqa: S311 - a jitter is no secret

    def arrival(self, leave_s: float) -> float:
        """When what leaves at ``leave_s`` arrives, if nothing before it is later."""
        return leave_s + self.delay_s + self._chance.random() * self.jitter_s


class DelayLine:
    """Bytes under way in one direction of one connection, in order, each with the time at which it is due.

    Fill ``room()`` and call ``put``; empty ``arrived`` and call ``took``. ``held_bytes`` never exceeds ``capacity_bytes``.
    """

    def __init__(self, capacity_bytes: int, chunk_bytes: int, least_block_bytes: int = 64 << 10) -> None:
        self.held_bytes = 0
        self.last_due_s = float("-inf")
        self.set_capacity(capacity_bytes, chunk_bytes)
        self._block_bytes = max(chunk_bytes, least_block_bytes)
        self._blocks: deque[memoryview] = deque()
        self._written = self._block_bytes  # of the last block
        self._read = 0  # of the first
        self._due: deque[tuple[float, int]] = deque()
        self._arrived_bytes = 0

    def set_capacity(self, capacity_bytes: int, chunk_bytes: int) -> None:
        """What is under way stays so, even where that is more."""
        self._capacity_bytes = capacity_bytes
        self._chunk_bytes = chunk_bytes

    def room(self) -> memoryview:
        """Where the next bytes go: at most a chunk; empty when the line is full."""
        free = max(0, min(self._capacity_bytes - self.held_bytes, self._chunk_bytes))
        if self._written == self._block_bytes and free:
            self._blocks.append(memoryview(bytearray(self._block_bytes)))
            self._written = 0
        return self._blocks[-1][self._written : self._written + free] if free else memoryview(bytearray())

    def put(self, count: int, due_s: float) -> None:
        """The first ``count`` bytes of ``room()`` are under way; they pass nothing that went before them."""
        self.last_due_s = max(self.last_due_s, due_s)
        self._written += count
        self.held_bytes += count
        self._due.append((self.last_due_s, count))

    def arrived(self, now_s: float) -> memoryview:
        """The next bytes that are due; empty when none is. More may follow them."""
        while self._due and self._due[0][0] <= now_s:
            self._arrived_bytes += self._due.popleft()[1]
        if not self._arrived_bytes:
            return memoryview(b"")
        return self._blocks[0][self._read : self._read + self._arrived_bytes]

    def took(self, count: int) -> None:
        """The first ``count`` bytes of ``arrived`` are out of the line."""
        self._read += count
        self._arrived_bytes -= count
        self.held_bytes -= count
        if self._read == self._block_bytes:
            self._blocks.popleft()
            self._read = 0
