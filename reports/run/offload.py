"""What a device did with a method's batches and what a batch waited for: the sender's counters as text.

Result -> dataclasses of text. Knows no HTML. A result without any device or fallback has no such section.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from harness.results.result import Result, Run
from harness.units import MIB
from reports.effects import counted_runs, method_names
from reports.numbers import DASH, amount, share_percent
from reports.run.fallbacks import count, counted, every_sentence
from reports.run.faults import faults, qat_calls
from reports.table import Table

_PREFIX = "sender_offload_"
_KIB, _GIB = 1 << 10, 1 << 30
_MEASURED = ("host_to_device_s", "queue_s", "kernel_s", "device_to_host_s")
PHASES = (
    ("slot_wait_s", "waiting for a slot"),
    ("host_to_device_s", "host to device"),
    ("queue_s", "queued"),
    ("kernel_s", "kernel"),
    ("device_to_host_s", "device to host"),
    ("hand_over_s", "hand-over"),
)
"""In the order in which a batch meets them; hand-over is what the sender waited beyond the device's own times."""

DEFINITIONS = (
    ("Time of a batch", "Per run, the sender's sums over all batches divided by the device's batches; shown is the median of the "
     "counted runs. Host to device, queued, kernel and device to host are the device's own event times; hand-over is the rest "
     "of the wall time from request to answer; waiting for a slot comes before the request. A share is of all six together."),
    ("Device rate", "Uncompressed bytes over kernel time, as if one kernel followed the other without a gap; kernels of several "
     "slots may run side by side. The pipeline's rate is stream bytes over total time. The worker is the process that talks to "
     "the device: its CPU time is a part of the sender's, and holds the kernels' own where the device is this host's CPU."),
    ("Fallback", "A batch that the device did not compress, as it failed, was late, answered wrongly, or was not asked after such "
     "failures; the configured codec compressed it on the CPU instead."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a batch's time: milliseconds, and its share of all parts (0 to 1)."""

    label: str
    ms: float
    share: float


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of the offload table that belong together: a label, then a text per method."""

    title: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Offload:
    """The section. ``methods`` are the columns of ``groups``, medians of so many runs as ``counts`` says of each; ``fallbacks`` are
    sentences to warn with."""

    sentences: tuple[str, ...]
    fallbacks: tuple[str, ...]
    methods: tuple[str, ...]
    counts: tuple[int, ...]
    groups: tuple[Group, ...]
    qat: Table
    faults: Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A row of the table: what to take of each run, and how its median is shown."""

    label: str
    take: Callable[[Run], float | None]
    show: Callable[[float | None], str]


def _sum(run: Run, name: str) -> float:
    return counted(run, f"{_PREFIX}{name}")


def _per(above: str, below: str, factor: float = 1.0) -> Callable[[Run], float | None]:
    """One counter over another; None where there is nothing to divide by."""

    def take(run: Run) -> float | None:
        divisor = _sum(run, below)
        return _sum(run, above) / divisor * factor if divisor > 0 else None

    return take


def _over_total_time(amount_of: Callable[[Run], float | None], factor: float = 1.0) -> Callable[[Run], float | None]:
    def take(run: Run) -> float | None:
        value = amount_of(run)
        return value / run.total_time_s * factor if value is not None and run.total_time_s else None

    return take


def _digits(digits: int) -> Callable[[float | None], str]:
    return lambda value: amount(value, digits)


_DEVICE_RATE = _Quantity("Device, while a kernel runs (MiB/s)", _per("raw_bytes", "kernel_s", 1 / MIB), amount)
_PIPELINE_RATE = _Quantity(
    "Pipeline, over the whole migration (MiB/s)", _over_total_time(lambda run: run.stream_bytes, 1 / MIB), amount
)
_QUANTITIES: tuple[tuple[str, tuple[_Quantity, ...]], ...] = (
    (
        "Rates",
        (
            _DEVICE_RATE,
            _PIPELINE_RATE,
            _Quantity("Kernel time in total time", _over_total_time(lambda run: _sum(run, "kernel_s")), share_percent),
        ),
    ),
    (
        "CPU time of the worker",
        (
            _Quantity("Per run (s)", lambda run: _sum(run, "worker_cpu_s"), _digits(2)),
            _Quantity("Per GiB given to the device (s)", _per("worker_cpu_s", "raw_bytes", _GIB), _digits(2)),
        ),
    ),
    (
        "Work of a run",
        (
            _Quantity("Batches compressed by the device", lambda run: _sum(run, "batches"), amount),
            _Quantity("Of these inflated again and compared", lambda run: _sum(run, "verified_batches"), amount),
            _Quantity("Uncompressed batch, mean (KiB)", _per("raw_bytes", "batches", 1 / _KIB), amount),
            _Quantity("Ratio on the device", _per("raw_bytes", "joined_bytes"), _digits(2)),
            _Quantity("Blocks of zeros", _per("zero_blocks", "blocks"), share_percent),
            _Quantity("Blocks stored as they are", _per("stored_blocks", "blocks"), share_percent),
        ),
    ),
)


def _device_runs(result: Result, method: str) -> list[Run]:
    """Counted runs in which the device finished a batch."""
    return [run for run in counted_runs(result, method) if count(run, f"{_PREFIX}batches") > 0]


def _device_s(run: Run) -> float:
    return sum(_sum(run, name) for name in _MEASURED)


def _phase_s(run: Run, name: str) -> float:
    """Hand-over is never below zero: where commands overlap, the device's times add up to more than the wall's."""
    return max(0.0, _sum(run, "wait_s") - _device_s(run)) if name == "hand_over_s" else _sum(run, name)


def phases(result: Result, method: str) -> tuple[Phase, ...]:
    """What one batch waited for; empty where the device finished none."""
    runs = _device_runs(result, method)
    if not runs:
        return ()
    each_ms = [median(_phase_s(run, name) / _sum(run, "batches") * 1e3 for run in runs) for name, _ in PHASES]
    whole_ms = sum(each_ms)
    return tuple(
        Phase(label, ms, ms / whole_ms if whole_ms else 0.0) for (_, label), ms in zip(PHASES, each_ms, strict=True)
    )


def _times(result: Result, methods: tuple[str, ...]) -> Group:
    columns = [phases(result, method) for method in methods]
    rows = [
        (f"{label.capitalize()} (ms)", tuple(_phase_text(column[index]) if column else DASH for column in columns))
        for index, (_, label) in enumerate(PHASES)
    ]
    whole = tuple(amount(sum(phase.ms for phase in column), 2) if column else DASH for column in columns)
    return Group("Time of a batch", (*rows, ("Together (ms)", whole)))


def _phase_text(phase: Phase) -> str:
    return f"{amount(phase.ms, 2)} ({share_percent(phase.share)})"


def _cell(runs: list[Run], quantity: _Quantity) -> str:
    found = [value for run in runs if (value := quantity.take(run)) is not None]
    return quantity.show(median(found)) if found else DASH


def _groups(result: Result, methods: tuple[str, ...]) -> tuple[Group, ...]:
    runs = [_device_runs(result, method) for method in methods]
    groups = [
        Group(title, tuple((each.label, tuple(_cell(column, each) for column in runs)) for each in quantities))
        for title, quantities in _QUANTITIES
    ]
    return (_times(result, methods), *groups)


def _sentence(result: Result, method: str) -> str:
    """Where a batch's time went, and what that made of the device's rate."""
    parts, runs = phases(result, method), _device_runs(result, method)
    if not parts:
        return f"{method}: the device compressed no batch."
    longest = max(parts, key=lambda phase: phase.ms)
    took = amount(sum(phase.ms for phase in parts), 1)
    device, pipeline = _cell(runs, _DEVICE_RATE), _cell(runs, _PIPELINE_RATE)
    return (
        f"{method}: a batch took {took}\u00a0ms, the largest part {longest.label} ({share_percent(longest.share)}); "
        f"{device}\u00a0MiB/s while a kernel runs, {pipeline}\u00a0MiB/s delivered by the pipeline."
    )


def _notes(result: Result, methods: tuple[str, ...]) -> tuple[str, ...]:
    overlapping = [
        method
        for method in methods
        if any(_device_s(run) > 1.01 * _sum(run, "wait_s") for run in _device_runs(result, method))
    ]
    if not overlapping:
        return ()
    return (
        f"{', '.join(overlapping)}: the device's times add up to more than the wall time, for its commands overlap; "
        "read them one by one.",
    )


def offload(result: Result) -> Offload | None:
    """The section; None where no run used a device and none fell back."""
    methods = tuple(
        name
        for name in method_names(result)
        if any(key.startswith(_PREFIX) for run in counted_runs(result, name) for key in run.counters)
    )
    calls, wrong, fallen = qat_calls(result), faults(result), every_sentence(result)
    if not (methods or calls.rows or wrong.rows or fallen):
        return None
    return Offload(
        sentences=tuple(_sentence(result, method) for method in methods),
        fallbacks=fallen,
        methods=methods,
        counts=tuple(len(_device_runs(result, method)) for method in methods),
        groups=_groups(result, methods) if methods else (),
        qat=calls,
        faults=wrong,
        notes=_notes(result, methods),
    )
