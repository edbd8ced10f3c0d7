"""Backends that are broken in their speed."""

from __future__ import annotations

import threading
import time

from planted_backends.base import Good, planted


@planted("slow-restore", "speed.surface", "decompress_mib_per_s is")
class SlowRestore(Good):
    """Restores 10 MB/s, whatever the threads."""

    device = threading.Lock()

    def decompress(self, data, raw_bytes):
        with self.device:
            time.sleep(max(0, raw_bytes) / 10e6)
        return super().decompress(data, raw_bytes)


@planted("slow-card", "speed.surface", "compress_mib_per_s is", device="card0")
class SlowCard(Good):
    """A card of 100 MB/s: of no use beside a CPU."""

    device = threading.Lock()

    def compress(self, data):
        with self.device:
            time.sleep(len(data) / 100e6)
        return super().compress(data)


@planted("slow-tail", "speed.latency", "latency_p999_ms is")
class SlowTail(Good):
    """One call in 200 takes 250 ms longer."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        if self.calls % 200 == 0:
            time.sleep(0.25)
        return super().compress(data)


@planted("tires", "endurance.soak", "soak_drift is", batch_bytes=128 << 10)
class Tires(Good):
    """Takes ten times its time once 1.2 s have passed since its first batch: on a slow host as on a fast one."""

    began_s = None

    def compress(self, data):
        called_s = time.monotonic()
        Tires.began_s = self.began_s or called_s
        packed = super().compress(data)
        if called_s - self.began_s > 1.2:
            time.sleep(9 * (time.monotonic() - called_s))
        return packed
