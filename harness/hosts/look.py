"""Looks at a migration in progress: the link's counters and each process's CPU time, since the start. Starts no thread:
whoever waits for the migration looks while it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from harness.results.result import CpuSeconds, Sample

_RATE_SPAN_S = 0.5


class Counters(Protocol):
    """``links.contract.LinkCounters``."""

    @property
    def forward_wire_bytes(self) -> int:
        """Source to destination."""

    @property
    def return_wire_bytes(self) -> int:
        """Destination to source."""


class Look:
    """Made at the start of the measured time; every number it gives counts from there.

    ``cpu_s``: label -> what tells a process's CPU time, its last value when it has ended (``Child.cpu_s``). One look costs 0.2 ms
    with four processes.
    """

    def __init__(self, counters: Callable[[], Counters], cpu_s: Mapping[str, Callable[[], float]]) -> None:
        self._counters = counters
        self._cpu_s = dict(cpu_s)
        self._first_cpu_s = {name: cpu_s() for name, cpu_s in self._cpu_s.items()}
        first = counters()
        self._first_wire_bytes, self._first_return_bytes = first.forward_wire_bytes, first.return_wire_bytes
        self._samples: list[Sample] = []

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All looks so far."""
        return tuple(self._samples)

    @property
    def wire_bytes_per_s(self) -> float | None:
        """Over the last half second of looks; None before there were two."""
        if len(self._samples) < 2:
            return None
        last = self._samples[-1]
        then = next(s for s in reversed(self._samples) if last.t_s - s.t_s >= _RATE_SPAN_S or s is self._samples[0])
        return (last.wire_bytes - then.wire_bytes) / (last.t_s - then.t_s) if last.t_s > then.t_s else None

    def take(
        self,
        t_s: float,
        *,
        passes: int | None = None,
        remaining_bytes: int | None = None,
        dirty_rate_bytes_per_s: float | None = None,
    ) -> Sample:
        """Look now, ``t_s`` after the start."""
        sample = Sample(t_s, self.wire_bytes(), passes, remaining_bytes, dirty_rate_bytes_per_s, self.cpu_since_start())
        self._samples.append(sample)
        return sample

    def wire_bytes(self) -> int:
        """Source to destination, as the link counted them."""
        return self._counters().forward_wire_bytes - self._first_wire_bytes

    def return_bytes(self) -> int:
        """Destination to source."""
        return self._counters().return_wire_bytes - self._first_return_bytes

    def cpu_since_start(self) -> dict[str, float]:
        """User and system seconds by process, with what it started."""
        return {name: cpu_s() - self._first_cpu_s[name] for name, cpu_s in self._cpu_s.items()}


def cpu_seconds(spent: Mapping[str, float]) -> CpuSeconds:
    """``Run.cpu_s`` from seconds by process."""
    return CpuSeconds(
        spent.get("source_qemu"), spent.get("destination_qemu"), spent.get("sender"), spent.get("receiver")
    )
