"""What a scenario's runs showed: plain data with units, and its JSON. Schema 1: fields are added, never renamed.

Knows nothing of how a run is made. Durations are seconds, sizes bytes; ``None`` means "not measured" or "does not apply".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, computed_field, model_validator

from harness.results.document import Document, Scalar
from harness.results.doubt import Doubt
from harness.results.doubt_lists import read_doubts, tell_doubts
from harness.results.doubts import NotPreallocated, Said
from harness.results.identity import Identity
from harness.results.search import Attempt, Frontier
from harness.results.work import GuestWork

__all__ = [
    "SCHEMA",
    "CpuSeconds",
    "MetricSummary",
    "Result",
    "Run",
    "Sample",
    "Status",
    "conditions",
    "load_result",
    "save_result",
]

SCHEMA = 1
Status = Literal["completed", "failed", "timeout", "skipped"]


Doubts = Annotated[
    tuple[Doubt, ...],
    PlainValidator(read_doubts),
    PlainSerializer(tell_doubts, return_type=list[dict[str, Any]]),
]


def _with_doubts(told: object, methods: Sequence[str]) -> object:
    """Sentences of a file from before doubts had kinds; one that opens with a method's name is about that method."""
    if not isinstance(told, dict) or "doubts" in told or "warnings" not in told:
        return told
    sentences, said = told["warnings"], []
    if not isinstance(sentences, list) or not all(isinstance(text, str) for text in sentences):
        raise ValueError(f"warnings {sentences!r:.60} are no list of sentences")
    for text in sentences:
        about = max((name for name in methods if text.startswith(f"{name}: ")), key=len, default=None)
        said.append(Said(text if about is None else text.removeprefix(f"{about}: "), about))
    return {**told, "doubts": tell_doubts(tuple(said))}


_BEFORE_PREALLOC = {"prealloc": False, "hugepages": False, "cpus": 1, "numa": 1}
_TOUCHED_FIRST = NotPreallocated("the result is from before guest.prealloc")


def _with_first_touches(told: object) -> object:
    """Of a guest in QEMU, for it has an accelerator, from before it could have been given its memory beforehand."""
    if not isinstance(told, dict) or not isinstance(told.get("doubts", []), list):
        return told
    match told.get("environment"), told.get("scenario"):
        case {"accel": _}, {"guest": dict(guest), **others} if "prealloc" not in guest:
            doubts = [*tell_doubts((_TOUCHED_FIRST,)), *told.get("doubts", [])]
            return {**told, "scenario": {**others, "guest": {**_BEFORE_PREALLOC, **guest}}, "doubts": doubts}
    return told


def _method_names(told: object) -> list[str]:
    """Of a result that nobody has checked yet."""
    scenario = told.get("scenario") if isinstance(told, dict) else None
    methods = scenario.get("methods") if isinstance(scenario, dict) else None
    return [str(each["name"]) for each in methods or () if isinstance(each, dict) and "name" in each]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a migration in progress."""

    t_s: float
    """Since the ``migrate`` command, or the first byte of a replay."""
    wire_bytes: int
    """By the link's counter."""
    passes: int | None = None
    """QEMU's dirty-sync-count."""
    remaining_bytes: int | None = None
    """What is left of memory, as QEMU says."""
    dirty_rate_bytes_per_s: float | None = None
    """How fast the guest writes, as QEMU says."""
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """CPU time until now, by process."""


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    """CPU time, user and system, of each process from the start of a migration to its end, in seconds."""

    source_qemu: float | None = None
    """Of the source QEMU."""
    destination_qemu: float | None = None
    """Of the destination QEMU."""
    sender: float | None = None
    """Of the pair's sender."""
    receiver: float | None = None
    """Of the pair's receiver."""

    @property
    def total(self) -> float:
        """Sum of what was measured."""
        return sum(v for v in (self.source_qemu, self.destination_qemu, self.sender, self.receiver) if v is not None)


@dataclass(frozen=True, slots=True)
class Run:
    """One migration by one method."""

    method: str
    """Its name in the scenario."""
    repeat: int
    """Its number among the method's runs, from 1 on."""
    warmup: bool
    """Whether it counts for nothing."""
    status: Status
    """How it ended."""
    reason: str | None = None
    """Why it did not complete."""
    started_at: str | None = None
    """ISO 8601, with its zone."""
    total_time_s: float | None = None
    """From the ``migrate`` command, or a replay's first byte, to its end."""
    downtime_s: float | None = None
    """Source STOP to destination RESUME, on one clock; where the guest is held to be compared, until it could have gone on."""
    downtime_error_s: float | None = None
    """By how much ``downtime_s`` may be wrong, where source and destination are two hosts, with a clock each."""
    downtime_reported_s: float | None = None
    """QEMU's own claim."""
    heartbeat_gap_s: float | None = None
    """The longest silence of the guest's heartbeat; null: it has none."""
    wire_bytes: int | None = None
    """Source to destination, counted outside both parties."""
    stream_bytes: int | None = None
    """What the source produced."""
    ratio: float | None = None
    """``stream_bytes`` / ``wire_bytes``."""
    passes: int | None = None
    """How often QEMU went over memory."""
    guest_dirty_rate_bytes_per_s: float | None = None
    """What the guest wrote from the ``migrate`` command on, by its own count, while it ran; where it has none, what QEMU
    said last of pages that became dirty, each once a pass."""
    work: GuestWork | None = None
    """What the guest did meanwhile; null: it does not count, or was not heard long enough."""
    vcpu_s: float | None = None
    """CPU time of the guest's processors on both sides, from the ``migrate`` command until its work was last counted."""
    cpu_s: CpuSeconds = field(default_factory=CpuSeconds)
    """CPU time by process."""
    verified: bool | None = None
    """Whether memory, or the stream, was found to have arrived intact; null: nobody looked."""
    verification: tuple[str, ...] = ()
    """A line for each check that was made."""
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    """Read back from QEMU or reported by the pair, flat."""
    counters: Mapping[str, int | float] = field(default_factory=dict)
    """QEMU's, the link's, the pair's and the backend's own, flat; durations and sizes end in their unit."""
    samples: tuple[Sample, ...] = ()
    """Looks at its progress, in their order."""
    decisions: tuple[Mapping[str, Scalar], ...] = ()
    """Each change of the choice of ``auto``, with what it was made of."""
    steering: tuple[Mapping[str, Scalar], ...] = ()
    """Each value that the source QEMU was set to, with what it was made of."""
    doubts: Doubts = ()
    """What makes its figures other than they seem."""
    error: str | None = None
    """What failed, with the error's class."""
    attempt: Attempt | None = None
    """What it tried, where it belongs to a search."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubts' sentences."""
        return tuple(doubt.sentence for doubt in self.doubts)

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_file(cls, told: object) -> object:
        return _with_doubts(told, ())


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric of one method, over its completed runs without warm-ups."""

    median: float
    """In the metric's unit."""
    ci95: tuple[float, float]
    """The median's interval in the metric's unit: two of the runs' values, so that it holds with 95 % or more; of fewer than 6 runs
    their range, which holds with less. Of files without ``coverage``: by bootstrap, which held with less too."""
    n: int
    """Of so many runs."""
    vs_baseline: float | None = None
    """Ratio of medians; null for the baseline itself, or where its median is not above 0."""
    p_value: float | None = None
    """Of a two-sided rank test against the baseline, exact; alone, for one figure of many it is too bold."""
    coverage: float | None = None
    """How surely ``ci95`` holds the true median."""


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one scenario on one machine."""

    scenario: Mapping[str, Any]
    """As run, in TOML's shape, with every default filled in and numbers in base units."""
    environment: Mapping[str, Scalar]
    """What ``pageferry doctor`` knows of the machine, flat."""
    runs: tuple[Run, ...] = ()
    """In the order in which they were made."""
    summary: Mapping[str, Mapping[str, MetricSummary]] = field(default_factory=dict)
    """By method, then by metric."""
    memory_classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By page class: share of RAM, declared and measured zlib-1 ratio."""
    doubts: Doubts = ()
    """What makes the summary other than it seems."""
    frontiers: tuple[Frontier, ...] = ()
    """Of a scenario that searches, in place of ``summary``: its runs differ in what they tried."""
    identity: Identity | None = None
    """Which run made it; null: a file from before results said so."""
    schema: int = SCHEMA
    """Of this document; fields are added, never renamed."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubts' sentences."""
        return tuple(doubt.sentence for doubt in self.doubts)

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_file(cls, told: object) -> object:
        return _with_first_touches(_with_doubts(told, _method_names(told)))


def conditions(result: Result) -> tuple[str, ...]:
    """A sentence each for a guest that was emulated and a link that was a process: neither is what production runs on."""
    accel, link = result.environment.get("accel"), str(result.environment.get("link") or "")
    found = []
    if accel == "tcg":
        why = result.environment.get("accel_reason") or "KVM is not used"
        found.append(f"guests run under TCG, QEMU's emulation, and not under KVM: {why}")
    kind = link.partition(":")[0]
    if result.environment.get("link_shares_cpu", kind == "relay"):  # older results do not say; only the relay does
        why = result.environment.get("link_reason") or "no network namespaces"
        found.append(
            f"the link is a {kind} process on loopback, which takes CPU time, and not network namespaces: {why}"
        )
    return tuple(found)


_DOCUMENT = Document(Result, "result", SCHEMA)
save_result, load_result = _DOCUMENT.save, _DOCUMENT.read
