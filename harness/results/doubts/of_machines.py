"""Doubts that come of the machine beneath."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt
from harness.units import format_duration

__all__ = ["ClockStep", "Loaded", "Throttled"]


@dataclass(frozen=True, slots=True)
class ClockStep(Doubt):
    """The wall clock, by which two QEMUs date their events, was set meanwhile."""

    kind = "clock_step"
    subject = "clock"
    weight = "invalidates"
    step_s: float

    def _words(self) -> str:
        return f"the wall clock was moved by {self.step_s * 1e3:.1f} ms during the run: downtime is off by as much"


@dataclass(frozen=True, slots=True)
class Loaded(Doubt):
    """Other programs ran when the experiment began. ``load``: the machine's mean of the minute before."""

    kind = "loaded"
    subject = "result"
    load: float
    cores: int

    def _words(self) -> str:
        return (
            f"The machine was busy before the first run (load {self.load:.2f} on {self.cores} cores): other programs took CPU time "
            "from guests and codecs."
        )


@dataclass(frozen=True, slots=True)
class Throttled(Doubt):
    """A control group used up its quota of CPU time. ``held_s``: how long its processes had to wait, added over processors."""

    kind = "throttled"
    subject = "run"
    held_s: float

    def _words(self) -> str:
        return (
            f"a control group's CPU limit kept its processes waiting for {format_duration(self.held_s)} (added over processors): "
            "times show that limit; raise it (docker run --cpus; systemd: CPUQuota; cgroup: cpu.max)"
        )
