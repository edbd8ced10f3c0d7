"""Doubts that several runs of a method show together: too few of them, missing ones, far apart, not equal work."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt


@dataclass(frozen=True, slots=True)
class Incomplete(Doubt):
    """Runs are missing from a method's figures."""

    kind = "incomplete"
    subject = "method"
    method: str
    lost: int
    runs: int
    first: str

    def _words(self) -> str:
        return f"{self.lost} of {self.runs} runs did not complete and are not in its figures (first: {self.first})."


def _cover(n: int) -> str:
    """How surely the range of so many runs holds the true median."""
    return f"covers the true median with {100 * (1 - 0.5 ** (n - 1)):.0f} %, not 95 %."


@dataclass(frozen=True, slots=True)
class FewRuns(Doubt):
    """Too few runs for an interval of 95 %."""

    kind = "few_runs"
    subject = "method"
    method: str
    runs: int

    def _words(self) -> str:
        if self.runs == 1:
            return "only one run; nothing is known of its spread."
        return f"only {self.runs} runs; even their whole range {_cover(self.runs)}"


@dataclass(frozen=True, slots=True)
class FewReplays(Doubt):
    """The same of an advice, whose methods are replayed in turn."""

    kind = "few_replays"
    subject = "result"
    replays: int

    def _words(self) -> str:
        if self.replays == 1:
            return "Only 1 replay of a method: nothing is known of its spread."
        return f"Only {self.replays} replays of a method: even their whole range {_cover(self.replays)}"


@dataclass(frozen=True, slots=True)
class Unverified(Doubt):
    """Nobody looked whether the memory arrived intact."""

    kind = "unverified"
    subject = "method"
    method: str
    unproven: int
    runs: int

    def _words(self) -> str:
        return f"memory was not verified in {self.unproven} of {self.runs} completed runs."


@dataclass(frozen=True, slots=True)
class Spread(Doubt):
    """``title``: the metric's, inside a sentence. ``share``: the standard deviation, of the mean."""

    kind = "spread"
    subject = "metric"
    method: str
    metric: str
    title: str
    share: float

    def _words(self) -> str:
        return f"{self.title} varies widely from run to run (standard deviation {self.share:.0%} of the mean)."


@dataclass(frozen=True, slots=True)
class Outlier(Doubt):
    """One run's total time is far from the others'."""

    kind = "outlier"
    subject = "run"
    method: str
    repeat: int
    total_time_s: float
    median_s: float

    def _words(self) -> str:
        median = f"where the median is {self.median_s:.3f} s"
        return f"repeat {self.repeat} is an outlier: {self.total_time_s:.3f} s, {median}."


@dataclass(frozen=True, slots=True)
class TwoModes(Doubt):
    """Total times fall into two groups with nothing between: a median of such runs jumps from one to the other."""

    kind = "two_modes"
    subject = "metric"
    method: str
    lower_runs: int
    lower_s: float
    upper_runs: int
    upper_s: float

    def _words(self) -> str:
        groups = f"{self.lower_runs} about {self.lower_s:.3f} s, {self.upper_runs} about {self.upper_s:.3f} s"
        return (
            f"total times fall into two groups ({groups}): the median says little, look for what differs between them."
        )


@dataclass(frozen=True, slots=True)
class Drifting(Doubt):
    """Total times grew, or fell, from repeat to repeat. ``share``: from the first third to the last."""

    kind = "drifting"
    subject = "metric"
    method: str
    share: float

    def _words(self) -> str:
        way = "grew" if self.share > 0 else "fell"
        return f"total time {way} by {abs(self.share):.0%} from the first repeats to the last: something on the machine changed."


@dataclass(frozen=True, slots=True)
class UnequalWork(Doubt):
    """Another pass over RAM is more work: sizes and times of such methods do not compare codecs."""

    kind = "unequal_work"
    subject = "result"
    weight = "invalidates"
    fewest: str
    fewest_passes: float
    most: str
    most_passes: float

    def _words(self) -> str:
        span = f"from {self.fewest} {self.fewest_passes:g} to {self.most} {self.most_passes:g}"
        return (
            f"Methods did not do equal work: median passes over dirty memory range {span}; "
            "compare codecs on a replayed stream."
        )
