"""How many bytes a second a link carries, from looks at one that is in use. Pure: numbers in, a number out.

A stretch counts where the link was the limit: bytes waited to be sent all the time, and the receiver waited for bytes.
Where the receiver does not wait it is the receiver that is slow, and where nothing waits to be sent it is the source.

Where CPU time is short, or a machine stands still for a moment, a receiver that waits for that seems to wait for the link, which
then seems slower than it is; what waited in buffers meanwhile makes the next stretch seem faster. So of ``_STRETCHES`` in direct
succession the second fastest counts, and fewer of them never show that a link has become slower.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

_BACKLOG_BYTES = 64 << 10
_SAMPLE_S = 0.04
_STRETCHES = 4
_RECEIVER_WAITS = 0.3
_FREE_S = 0.06
_OUTGROWN = 1.1
_GROWTH = 1.5
_MOST_GROWTH = 16


@dataclass(frozen=True, slots=True)
class _Look:
    now_s: float
    arrived_bytes: int
    receiver_waits_s: float
    backlogged: bool


@dataclass(slots=True)
class LinkRate:
    """``bytes_per_s`` is None until the link was the limit, and what it carried then, as of the latest such stretches.

    A link that carries more than that without being the limit has grown, nobody knows how far: it is taken for faster step by step
    until it is the limit again. ``limited_s``: for how long it was, in all.
    """

    bytes_per_s: float | None = None
    limited_s: float = 0.0
    arrived_bytes: int = 0
    _last: _Look | None = None
    _stretches: deque[float] = field(default_factory=lambda: deque(maxlen=_STRETCHES))
    _free_s: float = 0.0
    _free_bytes: int = 0
    _limit_bytes_per_s: float | None = None
    _only_expected: bool = False

    def look(self, now_s: float, arrived_bytes: int, waiting_bytes: int, receiver_waits_s: float) -> None:
        """``arrived_bytes`` in all, ``waiting_bytes`` sent and not arrived; the receiver waited for ``receiver_waits_s`` in all."""
        last, self.arrived_bytes = self._last, arrived_bytes
        backlogged = waiting_bytes >= _BACKLOG_BYTES
        if last is not None and now_s - last.now_s < _SAMPLE_S:
            if not backlogged and last.backlogged:
                self._last = _Look(last.now_s, last.arrived_bytes, last.receiver_waits_s, backlogged=False)
            return
        self._last = _Look(now_s, arrived_bytes, receiver_waits_s, backlogged)
        if last is None:
            return
        took_s, moved_bytes = now_s - last.now_s, arrived_bytes - last.arrived_bytes
        if last.backlogged and backlogged and receiver_waits_s - last.receiver_waits_s >= _RECEIVER_WAITS * took_s:
            self._limited(took_s, moved_bytes)
        else:
            self._free(took_s, moved_bytes)

    def expect(self, bytes_per_s: float) -> None:
        """What a shorter measurement says, before there are looks. It may be too much, as a link can carry more at first: the
        more that the first two stretches in succession carried takes its place."""
        self.bytes_per_s = self._limit_bytes_per_s = bytes_per_s
        self._only_expected = True

    def _limited(self, took_s: float, moved_bytes: int) -> None:
        self.limited_s += took_s
        self._free_s, self._free_bytes = 0.0, 0
        self._stretches.append(moved_bytes / took_s)
        seen = max(1.0, sorted(self._stretches)[-2:][0])
        if self.bytes_per_s is None or len(self._stretches) == _STRETCHES:
            self.bytes_per_s = seen
            self._only_expected = False
        elif self._only_expected and len(self._stretches) > 1:
            self.bytes_per_s = max(self._stretches)
            self._only_expected = False
        elif len(self._stretches) > 1:
            self.bytes_per_s = max(self.bytes_per_s, seen)
        self._limit_bytes_per_s = self.bytes_per_s

    def _free(self, took_s: float, moved_bytes: int) -> None:
        self._stretches.clear()
        self._free_s += took_s
        self._free_bytes += moved_bytes
        if self._free_s < _FREE_S:
            return
        rate = self._free_bytes / self._free_s
        self._free_s, self._free_bytes = 0.0, 0
        limit = self._limit_bytes_per_s
        if limit is not None and self.bytes_per_s is not None and rate > _OUTGROWN * limit:
            self.bytes_per_s = max(rate, min(_MOST_GROWTH * rate, _GROWTH * self.bytes_per_s))

    @property
    def could_carry_bytes_per_s(self) -> float:
        """The limit, or as much as one likes where it was none yet."""
        return math.inf if self.bytes_per_s is None else self.bytes_per_s
