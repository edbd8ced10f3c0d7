"""The page caches of a pair's two ends: how large, when used, and when given up. What they hold is ``wire.pagecache``'s.

The sender asks, the receiver grants, each no more than a quarter of the memory available to it. When memory becomes short at either
end the sender gives up its cache and says so, and the receiver frees its own; the migration goes on without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from harness.errors import CodecError, FrameError
from harness.hosts import limits
from harness.migrator.carry.codec import Job, Restored, check_restored
from harness.units import format_bytes
from harness.wire.pagecache import LEAST_PAGE_BYTES, CacheCounts, ReceiverCache, SenderCache

__all__ = ["ReceiverSide", "SenderSide", "granted_bytes"]

_SHORT_BYTES = 256 << 20
_LOOK_S = 0.5


def granted_bytes(asked_bytes: int) -> int:
    """What there is memory for."""
    return min(asked_bytes, limits.available_bytes() // 4)


class _Watch:
    """Whether memory has become short; a look takes some 50 us, so there are few."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def is_short(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + _LOOK_S
        return limits.available_bytes() < _SHORT_BYTES


class SenderSide:
    """``cache_bytes`` as agreed, of ``asked_bytes``; ``choices`` may use it. ``drop`` tells the receiver how many batches went
    before. ``prepared`` belongs to the reader; any thread may call ``receiver_is_short``."""

    def __init__(
        self,
        asked_bytes: int,
        cache_bytes: int,
        choices: Collection[int],
        drop: Callable[[int], None],
    ) -> None:
        self._cache_bytes = cache_bytes
        self._choices = choices
        self._drop = drop
        self._cache: SenderCache | None = None
        self._counts = CacheCounts()
        self._watch = _Watch()
        self._receiver_is_short = False
        self._cpu_s = 0.0
        self._drops = 0
        self._uses = cache_bytes > 0
        self._reason = (
            f"cache of {format_bytes(cache_bytes)} instead of {format_bytes(asked_bytes)}: "
            "each end gives at most a quarter of its available memory"
            if cache_bytes < asked_bytes
            else None
        )

    def prepared(self, job: Job) -> Job:
        """The job, relative to the cache if its choice may use one. In the order of the stream."""
        if not self._uses:
            return job
        if self._receiver_is_short or self._watch.is_short():
            self._give_up("the receiver" if self._receiver_is_short else "the sender", job.sequence)
            return job
        batch = job.batch
        if job.choice not in self._choices or not batch.runs or batch.page_bytes < LEAST_PAGE_BYTES:
            return job
        began_s = time.thread_time()
        if self._cache is None:
            try:
                self._cache = SenderCache(self._cache_bytes, batch.page_bytes)
            except (OSError, MemoryError):
                self._give_up("the sender", job.sequence)
                return job
            self._counts = self._cache.counts
        relative = self._cache.relative(batch) if batch.page_bytes == self._cache.page_bytes else None
        self._cpu_s += time.thread_time() - began_s
        return job._replace(relative=relative)

    def receiver_is_short(self) -> None:
        """The receiver says that its memory is short."""
        self._receiver_is_short = True

    def _give_up(self, who: str, sequence: int) -> None:
        self._uses, self._cache = False, None
        self._drops += 1
        self._reason = f"the cache was dropped before batch {sequence}: memory became short at {who}"
        self._drop(sequence)

    def statistics(self) -> dict[str, Any]:
        """Counts, cost, and what was not as asked. ``cache_hit_rate``: of all pages, those known in an older version."""
        counts = self._counts
        return {
            "cache_bytes": self._cache_bytes,
            "cache_pages": counts.pages,
            "cache_hits": counts.hits,
            "cache_hit_rate": counts.hits / counts.pages if counts.pages else 0.0,
            "cache_differences": counts.differences,
            "cache_duplicates": counts.duplicates,
            "cache_cpu_s": self._cpu_s,
            "cache_drops": self._drops,
            "cache_reason": self._reason,
        }


class ReceiverSide:
    """What HELLO asks for is granted as far as memory allows. ``dropped`` belongs to the reader, all else to the writer."""

    def __init__(self, greeting: Mapping[str, Any]) -> None:
        asked = greeting.get("cache_bytes")
        self.cache_bytes = granted_bytes(asked) if type(asked) is int and asked > 0 else 0
        self._cache: ReceiverCache | None = None
        self._watch = _Watch()
        self._drop_at: int | None = None
        self._cpu_s = 0.0

    def dropped(self, sequence: int) -> None:
        """From batch ``sequence`` on the sender uses no cache."""
        self._drop_at = sequence

    def is_short(self) -> bool:
        """To be told to the sender. Not asked when there is no cache to free."""
        return self.cache_bytes > 0 and self._drop_at is None and self._watch.is_short()

    def restored(self, batch: Restored) -> memoryview:
        """The slice, checked. :raises FrameError: nothing agreed on allows it. :raises CodecError: it is not what was sent."""
        header, plan = batch.header, batch.plan
        if self._drop_at is not None and header.sequence >= self._drop_at:
            self._cache = None
        if plan is None:
            return batch.raw
        began_s = time.thread_time()
        cache = self._opened(header.sequence, 1 << header.page_shift)
        raw = cache.restore(plan, batch.raw)
        if not plan.is_plain:
            check_restored(header, raw, batch.backend)
        cache.put(plan, raw)
        self._cpu_s += time.thread_time() - began_s
        return raw

    def _opened(self, sequence: int, page_bytes: int) -> ReceiverCache:
        if not self.cache_bytes or (self._drop_at is not None and sequence >= self._drop_at):
            raise FrameError(f"batch {sequence} is relative to a cache that was not agreed on, or was dropped")
        if self._cache is None:
            try:
                self._cache = ReceiverCache(self.cache_bytes, page_bytes)
            except (OSError, MemoryError) as exc:
                raise CodecError(
                    f"no memory for the cache of {format_bytes(self.cache_bytes)} that was granted"
                ) from exc
        if self._cache.page_bytes != page_bytes:
            raise FrameError(f"batch {sequence} has pages of {page_bytes} bytes, the cache of {self._cache.page_bytes}")
        return self._cache

    def statistics(self) -> dict[str, Any]:
        """What was granted, and what following the sender cost."""
        return {"cache_bytes": self.cache_bytes, "cache_cpu_s": self._cpu_s}
