"""Backends that are broken in what they cost."""

from __future__ import annotations

import time

from planted_backends.base import Good, planted


@planted("silent-fallback", "cost.offload-real", "host_busy_share is", device="card0")
class SilentFallback(Good):
    """Says that a card does the work, which zlib does."""


@planted("polls", "cost.cpu", "cpu_vs_isal_1 is", device="card0")
class Polls(Good):
    """Keeps a core busy for 20 ms while it waits for its card."""

    def compress(self, data):
        deadline_s = time.thread_time() + 0.02
        while time.thread_time() < deadline_s:
            pass
        return super().compress(data)


@planted("miscounts", "cost.offload", "batches were given to it, and it counted")
class Miscounts(Good):
    """Counts every other batch."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return super().compress(data)

    def counters(self):
        return {"offload_batches": self.calls // 2, "offload_kernel_s": 0.001}


@planted("counts-too-long", "cost.offload", "its parts add up to")
class CountsTooLong(Miscounts):
    """Counts milliseconds as seconds."""

    def counters(self):
        return {"offload_batches": self.calls, "offload_kernel_s": float(self.calls)}
