"""Steering in tests: a clock that ticks with each look, a flow, and a QEMU that goes over its memory."""

from __future__ import annotations

from itertools import chain, repeat
from types import SimpleNamespace

from fake_qmp import FakeQmp

from harness.migrator.steering import shortest, switchover
from harness.migrator.steering import steering as steering_module
from harness.migrator.steering.steering import open_steering

OLD = {"downtime-limit": 300}
NEW = {"downtime-limit": 300, "avail-switchover-bandwidth": 0}
MB = 1_000_000


def quicken(monkeypatch) -> None:
    """Looks come as fast as they can, each a tenth of a second after the one before by the clock that steering reads."""
    now = [0.0]

    def monotonic():
        now[0] += 0.1
        return now[0]

    monkeypatch.setattr(steering_module, "time", SimpleNamespace(monotonic=monotonic, sleep=lambda _: None))
    monkeypatch.setattr(switchover, "_LOOK_S", 0.001)
    monkeypatch.setattr(shortest, "_LOOK_S", 0.001)
    monkeypatch.setattr(shortest, "_SOON_LOOK_S", 0.001)


class Flowing:
    """A steady flow, as the forwarder tells it."""

    def __init__(self, bytes_per_look: int = 10 * MB, in_flight_bytes: int = 4 * MB) -> None:
        self.bytes_per_look, self.in_flight_bytes, self.delivered_bytes = bytes_per_look, in_flight_bytes, 0

    def __call__(self) -> tuple[int, int, float]:
        self.delivered_bytes += self.bytes_per_look
        return self.delivered_bytes, self.in_flight_bytes, 0.0


def opened(server: FakeQmp, downtime_s: float | str | None = None, say=lambda _: None):
    return open_steering(f"unix:{server.path}", downtime_s, 0.1, say)


def going_over(*mb: int):
    """What QEMU says of its progress, a look after another: so many MB in each pass, and as many as in the last ever after."""

    def each():
        sent = 0
        for number, count in enumerate(chain(mb, repeat(mb[-1])), 1):
            for left in range(count, 0, -10):
                ram = {
                    "dirty-sync-count": number,
                    "remaining": left * MB,
                    "normal": sent * MB // 4096,
                    "page-size": 4096,
                }
                yield {"status": "active", "ram": ram | {"mbps": 800.0}}
                sent += min(left, 10)

    return each().__next__
