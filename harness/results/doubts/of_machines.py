"""Doubts that come of the machine beneath."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt
from harness.units import format_duration

_APART_S = 1.0


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
class WithinClocks(Doubt):
    """Source and destination are two hosts, and STOP and RESUME nearer to each other than their clocks are known."""

    kind = "within_clocks"
    subject = "clock"
    error_s: float

    def _words(self) -> str:
        return (
            f"the downtime is shorter than the {self.error_s * 1e3:.2g} ms within which the hosts' clocks are known, so it is not "
            "told: the guest's own silence (heartbeat_gap_s) needs no clock of theirs"
        )


@dataclass(frozen=True, slots=True)
class ClocksApart(Doubt):
    """The hosts' wall clocks show other times; ``apart_s``: what the destination's is ahead."""

    kind = "clocks_apart"
    subject = "clock"
    weight = "explains"
    apart_s: float

    def _words(self) -> str:
        return (
            f"the destination's clock is {self.apart_s:+.1f} s off the source's: figures are corrected by that, and logs are "
            "not; set both by NTP"
        )


def clock_doubts(apart_s: float, error_s: float, *, told: bool) -> tuple[Doubt, ...]:
    """Of two hosts' clocks. ``told``: whether a downtime is."""
    found: list[Doubt] = [] if told else [WithinClocks(error_s)]
    return (*found, *([ClocksApart(apart_s)] if abs(apart_s) > _APART_S else []))


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
class ProcessorsDiffer(Doubt):
    """The guest had its host's processor, and the two hosts' are not the same. ``lacks``: features that only the source's has."""

    kind = "processors_differ"
    subject = "result"
    source: str
    destination: str
    lacks: str

    def _words(self) -> str:
        models = f" ({self.source}; {self.destination})" if self.source != self.destination else ""
        lacks = (
            f"; the destination's lacks {self.lacks}, and a program that uses it may fail there" if self.lacks else ""
        )
        return (
            f"The guest had its host's processor (-cpu host), and the two hosts' differ{models}{lacks}: take two hosts of one "
            "model, with one kernel and firmware."
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
