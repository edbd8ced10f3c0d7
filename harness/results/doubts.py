"""What makes a figure other than it seems: each kind of doubt once, with its values, what it is about, and its sentence.

Whoever sees a reason makes one; a result keeps it; pages group by its fields. Knows no result, and reads no sentence again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from harness.results.doubt import Doubt
from harness.results.search import value_text

__all__ = [
    "KINDS",
    "ClockStep",
    "Emulated",
    "Fallback",
    "FewReplays",
    "FewRuns",
    "GuestLimited",
    "Incomplete",
    "NotPreallocated",
    "Opaque",
    "Outlier",
    "Said",
    "SlowResume",
    "Spread",
    "SteeringEnded",
    "UnequalWork",
    "Unsettled",
    "Unverified",
]


@dataclass(frozen=True, slots=True)
class Said(Doubt):
    """A sentence alone: of a file from before doubts had kinds, or of a kind that we do not know."""

    kind = "said"
    subject = "unknown"
    text: str
    method: str | None = None

    def _words(self) -> str:
        return self.text


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


@dataclass(frozen=True, slots=True)
class Unsettled(Doubt):
    """A search that did not end as it should."""

    kind = "unsettled"
    subject = "search"
    method: str
    search: str
    why: str

    def _words(self) -> str:
        return f"{self.search.replace('_', ' ')}: {self.why}."


@dataclass(frozen=True, slots=True)
class GuestLimited(Doubt):
    """The guest, not the method, ended a search. ``value``: of what was searched, in its base unit."""

    kind = "guest_limited"
    subject = "guest"
    weight = "explains"
    method: str
    search: str
    value: float

    def _words(self) -> str:
        at = f"{self.search.replace('_', ' ')} of {value_text(self.search, self.value)}"
        return f"at a {at} the guest wrote less than it was asked to, so the method itself may converge beyond its bracket."


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
class SlowResume(Doubt):
    """``longer_s``: by which the downtime as we see it exceeds QEMU's own figure."""

    kind = "slow_resume"
    subject = "metric"
    weight = "explains"
    longer_s: float

    def _words(self) -> str:
        return f"STOP to RESUME took {self.longer_s * 1e3:.0f} ms longer than QEMU reported"


@dataclass(frozen=True, slots=True)
class Emulated(Doubt):
    """QEMU's emulation ran the guest."""

    kind = "emulated"
    subject = "guest"
    weight = "invalidates"

    def _words(self) -> str:
        return (
            "the guest ran under TCG, so times say nothing of KVM; and QEMU 7.2 itself was seen to lose a busy guest's last "
            "writes there (compress and multifd-zlib, without our pair), which the verification then reports"
        )


@dataclass(frozen=True, slots=True)
class NotPreallocated(Doubt):
    """QEMU took the guest's memory from the host page by page, as each was first touched. ``cause``: why."""

    kind = "not_preallocated"
    subject = "guest"
    cause: str

    def _words(self) -> str:
        return (
            f"The guest's memory was not preallocated ({self.cause}): the destination QEMU asks the host for each page while it "
            "receives it, and where the host is slow to give, that takes longer, and varies more, than what is compared."
        )


@dataclass(frozen=True, slots=True)
class SteeringEnded(Doubt):
    """The source QEMU was no longer told what to believe of the link."""

    kind = "steering_ended"
    subject = "pair"
    why: str

    def _words(self) -> str:
        return f"steering ended before the migration did: {self.why}"


@dataclass(frozen=True, slots=True)
class Opaque(Doubt):
    """The pair carried bytes without finding pages in them."""

    kind = "opaque"
    subject = "pair"
    weight = "explains"
    why: str

    def _words(self) -> str:
        return f"the stream was carried without knowing its pages: {self.why}"


@dataclass(frozen=True, slots=True)
class Fallback(Doubt):
    """Another codec did a part of the backend's work."""

    kind = "fallback"
    subject = "pair"
    weight = "invalidates"
    fallen: int
    batches: int
    fallback: str | None
    backend: str
    why: str | None

    def _words(self) -> str:
        who = f"compressed by {self.fallback}, not by {self.backend}"
        return f"{self.fallen} of {self.batches} batches were {who}: {self.why}"


_ALL = (
    Incomplete | FewRuns | FewReplays | Unverified | Spread | Outlier | UnequalWork | Unsettled | GuestLimited
    | ClockStep | SlowResume | Emulated | NotPreallocated | SteeringEnded | Opaque | Fallback | Said
)  # fmt: skip
KINDS: Mapping[str, type[Doubt]] = {kind.kind: kind for kind in get_args(_ALL)}
"""By the name that files hold."""
