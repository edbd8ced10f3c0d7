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
from harness.results.doubts import Said
from harness.results.search import Attempt, Frontier

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


def _method_names(told: object) -> list[str]:
    """Of a result that nobody has checked yet."""
    scenario = told.get("scenario") if isinstance(told, dict) else None
    methods = scenario.get("methods") if isinstance(scenario, dict) else None
    return [str(each["name"]) for each in methods or () if isinstance(each, dict) and "name" in each]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a migration in progress. ``t_s`` counts from the ``migrate`` command (or the first byte of a replay).

    ``passes`` is QEMU's dirty-sync-count, ``remaining_bytes`` and ``dirty_rate_bytes_per_s`` are QEMU's own.
    ``wire_bytes`` is the link's counter. ``cpu_s`` is cumulative, by process.
    """

    t_s: float
    wire_bytes: int
    passes: int | None = None
    remaining_bytes: int | None = None
    dirty_rate_bytes_per_s: float | None = None
    cpu_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    """CPU time, user and system, of each process from the start of a migration to its end."""

    source_qemu: float | None = None
    destination_qemu: float | None = None
    sender: float | None = None
    receiver: float | None = None

    @property
    def total(self) -> float:
        """Sum of what was measured."""
        return sum(v for v in (self.source_qemu, self.destination_qemu, self.sender, self.receiver) if v is not None)


@dataclass(frozen=True, slots=True)
class Run:
    """One migration by one method.

    ``downtime_s``: source STOP to destination RESUME, by one clock. ``downtime_reported_s``: QEMU's own claim.
    ``heartbeat_gap_s``: the longest silence the guest's 100 Hz heartbeat showed. ``wire_bytes``: source to destination,
    counted outside both parties. ``stream_bytes``: what the source produced. ``ratio``: stream_bytes / wire_bytes.
    ``guest_dirty_rate_bytes_per_s``: what the guest wrote from the migrate command on, by its own count, while it ran.
    ``parameters``: read back from QEMU or reported by the pair, flat. ``counters``: the backend's and the policy's own.
    ``decisions``: each change of the policy's choice, with what it was made of (``migrator.method_policy.Decision``).
    ``steering``: each value that the source QEMU was set to, with what it was made of (``migrator.switchover.Decision``).
    ``attempt``: what it tried, where it belongs to a search.
    ``verification``: one line per check that was made, in words. ``warnings``: a sentence for each doubtful number.
    """

    method: str
    repeat: int
    warmup: bool
    status: Status
    reason: str | None = None
    started_at: str | None = None
    total_time_s: float | None = None
    downtime_s: float | None = None
    downtime_reported_s: float | None = None
    heartbeat_gap_s: float | None = None
    wire_bytes: int | None = None
    stream_bytes: int | None = None
    ratio: float | None = None
    passes: int | None = None
    guest_dirty_rate_bytes_per_s: float | None = None
    cpu_s: CpuSeconds = field(default_factory=CpuSeconds)
    verified: bool | None = None
    verification: tuple[str, ...] = ()
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    counters: Mapping[str, int | float] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    decisions: tuple[Mapping[str, Scalar], ...] = ()
    steering: tuple[Mapping[str, Scalar], ...] = ()
    doubts: Doubts = ()
    error: str | None = None
    attempt: Attempt | None = None

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
    """Median over completed, counted runs, with its 95 % bootstrap interval.

    ``vs_baseline`` is the ratio of medians (None for the baseline itself); ``p_value`` is of a two-sided test.
    """

    median: float
    ci95: tuple[float, float]
    n: int
    vs_baseline: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one scenario on one machine.

    ``scenario`` is the scenario as run, in TOML's shape with every default filled in and numbers in base units
    (keys end in ``_bytes``, ``_bytes_per_s``, ``_s``). ``environment`` is flat: what ``pageferry doctor`` knows.
    ``memory_classes``: per page class, share of RAM, declared and measured zlib-1 ratio.
    ``frontiers``: of a scenario that searches, in place of ``summary``: its runs differ in what they tried.
    ``summary[method][metric]``: metric is a Run field's name, CPU as ``cpu_source_s``, ``cpu_destination_s``, ``cpu_total_s``.
    """

    scenario: Mapping[str, Any]
    environment: Mapping[str, Scalar]
    runs: tuple[Run, ...] = ()
    summary: Mapping[str, Mapping[str, MetricSummary]] = field(default_factory=dict)
    memory_classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    doubts: Doubts = ()
    frontiers: tuple[Frontier, ...] = ()
    schema: int = SCHEMA

    @computed_field  # type: ignore[prop-decorator]
    @property
    def warnings(self) -> tuple[str, ...]:
        """The doubts' sentences."""
        return tuple(doubt.sentence for doubt in self.doubts)

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_file(cls, told: object) -> object:
        return _with_doubts(told, _method_names(told))


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
