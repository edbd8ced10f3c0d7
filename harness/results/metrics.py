"""What a run is measured by: each metric once, with its name, its unit, where it is shown, and how it is read from a run.

Statistics, tables, comparisons and exports go through ``METRICS``, so that one entry here is all that a new metric takes.
Knows no run but by its fields, and nothing of how a page or a terminal looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.units import MIB

if TYPE_CHECKING:
    from harness.results.result import Run

SMALLEST_EFFECT = 0.02
"""The change of a figure that matters, as a share, where nobody says another."""

Place = Literal["page", "further", "runs", "terminal", "comparison", "pyperf"]
"""A page's main table, the one below it for what has no room there, that of single runs, the terminal's, a comparison, pyperf."""
_USUAL: tuple[Place, ...] = ("page", "runs", "terminal", "comparison", "pyperf")


@dataclass(frozen=True, slots=True)
class Unit:
    """``stored`` in a file, ``shown`` to a reader: ``factor`` times as many, with so many digits; ``run_digits`` of one run."""

    stored: str
    shown: str
    factor: float = 1.0
    digits: int = 0
    run_digits: int = 0


MILLISECONDS = Unit("second", "ms", 1e3, run_digits=1)
SECONDS = Unit("second", "s", digits=2, run_digits=3)
MEBIBYTES = Unit("byte", "MiB", 1 / MIB, digits=1, run_digits=3)
COUNT = Unit("integer", "")
PERCENT = Unit("integer", "%", 1e2, run_digits=1)
PER_SECOND = Unit("integer", "1/s", digits=1, run_digits=1)
RATIO = Unit("integer", "", digits=2, run_digits=3)  # pyperf has no unit for what has none


@dataclass(frozen=True, slots=True)
class Metric:
    """``key`` is its name in ``Result.summary``, and ``of`` reads it from a run; None: not measured.

    ``title`` heads a page's column and names it in the definitions, beside ``meaning``; ``short`` heads a terminal's.
    ``places``: where it is shown; it is summarised in any case. ``stopped``: a replay, which stops no guest, has
    none. ``compared``: whether its change against the baseline is shown beside it. ``rare``: few guests can be measured by it, so
    that a page has no column for it where no method was. ``primary``: what a comparison is decided by, declared before anyone
    looks; a change of any other figure is shown without a verdict.
    """

    key: str
    title: str
    short: str
    unit: Unit
    of: Callable[[Run], float | None]
    meaning: str
    places: tuple[Place, ...] = _USUAL
    more_is_better: bool = False
    stopped: bool = False
    compared: bool = True
    rare: bool = False
    primary: bool = False

    @property
    def heading(self) -> str:
        """Title and unit, as a column is headed."""
        return f"{self.title} ({self.unit.shown})" if self.unit.shown else self.title

    @property
    def words(self) -> str:
        """The title inside a sentence."""
        return self.title if self.title[1:2].isupper() else self.title[:1].lower() + self.title[1:]

    @property
    def short_heading(self) -> str:
        """The same for a terminal."""
        return f"{self.short} {self.unit.shown}".rstrip()


def _sum(*parts: float | None) -> float | None:
    measured = [part for part in parts if part is not None]
    return sum(measured) if measured else None


_ALL = (
    Metric(
        "total_time_s", "Total time", "total", MILLISECONDS, lambda run: run.total_time_s,
        "From the migrate command (or a replay's first byte) until QEMU says completed and the last byte is across.",
        primary=True,
    ),
    Metric(
        "downtime_s", "Downtime", "downtime", MILLISECONDS, lambda run: run.downtime_s,
        "From the source's STOP event to the destination's RESUME event, on one clock: where they are of two machines, a downtime "
        "within the error of their clocks is not told; where the guest is held there to be compared, until it could have gone on. "
        "It counts what waits in buffers between the two QEMUs, which QEMU's own figure cannot see.",
        stopped=True, primary=True,
    ),
    Metric(
        "downtime_reported_s", "Downtime as QEMU says", "QEMU's downtime", MILLISECONDS, lambda run: run.downtime_reported_s,
        "The figure that the source QEMU reports itself.",
        ("comparison", "runs"), stopped=True,
    ),
    Metric(
        "heartbeat_gap_s", "Guest's silence", "silence", MILLISECONDS, lambda run: run.heartbeat_gap_s,
        "The longest gap in the guest's heartbeat, post-copy included: what the guest's users would notice.",
        ("comparison", "runs"), stopped=True,
    ),
    Metric(
        "guest_pace", "Guest's pace", "pace", PERCENT,
        lambda run: None if run.work is None else run.work.during_per_s / run.work.before_per_s,
        "The guest's throughput by its own count while it was migrated, the time in which it stood still included, of that before.",
        ("comparison", "runs"), more_is_better=True, stopped=True,
    ),
    Metric(
        "work_lost_s", "Work lost", "work lost", SECONDS, lambda run: None if run.work is None else run.work.lost_s,
        "Seconds of normal work that the guest did not do: what it would have done from the migrate command until a second after "
        "the migration at its pace from before, less what it did by its own count, over that pace. A guest that only stands still "
        "loses its downtime; one that is also slowed down loses more.",
        ("page", "comparison", "runs"), stopped=True, rare=True,
    ),
    Metric(
        "work_before_per_s", "Work before", "work before", PER_SECOND,
        lambda run: None if run.work is None else run.work.before_per_s,
        "The guest's throughput by its own count in the last second before the migrate command.",
        ("runs",), more_is_better=True, stopped=True,
    ),
    Metric(
        "work_during_per_s", "Work during", "work during", PER_SECOND,
        lambda run: None if run.work is None else run.work.during_per_s,
        "The same from the migrate command until the migration was over, the time in which the guest stood still included.",
        ("runs",), more_is_better=True, stopped=True,
    ),
    Metric(
        "work_after_per_s", "Work after", "work after", PER_SECOND,
        lambda run: None if run.work is None else run.work.after_per_s,
        "The same in the second after that.",
        ("runs",), more_is_better=True, stopped=True,
    ),
    Metric(
        "vcpu_s", "Guest's CPU", "guest's CPU", SECONDS, lambda run: run.vcpu_s,
        "CPU time of the threads in which both QEMUs run the guest's processors, from the migrate command until a second after the "
        "migration (where the guest does not count its work: until it ran again). It is part of what the QEMUs take.",
        ("runs",), stopped=True,
    ),
    Metric(
        "throttle", "Guest's throttle", "throttle", PERCENT, lambda run: run.counters.get("qemu_throttle_share"),
        "The most of its time for which the source QEMU kept the guest from running, so that it writes less (auto-converge).",
        ("further", "comparison", "runs"), stopped=True, rare=True, compared=False,
    ),
    Metric(
        "postcopy_s", "Post-copy", "post-copy", MILLISECONDS, lambda run: run.counters.get("qemu_postcopy_s"),
        "From the guest's RESUME at the destination until the last of its memory was there.",
        ("further", "comparison", "runs"), stopped=True, rare=True, compared=False,
    ),
    Metric(
        "postcopy_blocked_s", "Waited for pages", "waited for pages", MILLISECONDS,
        lambda run: run.counters.get("qemu_postcopy_vcpu_blocked_s"),
        "In post-copy, for how long the processor of the guest that waited longest stood still for pages that had not come yet, by "
        "QEMU's count; none where it saw no processor wait, as KVM can hide that from it. It comes on top of the downtime.",
        ("further", "comparison", "runs"), stopped=True, rare=True, compared=False,
    ),
    Metric(
        "postcopy_latency_s", "Page's latency", "page's latency", MILLISECONDS,
        lambda run: run.counters.get("qemu_postcopy_latency_s"),
        "In post-copy, the mean time from a fault at the destination until its page was there, by QEMU's count (10.1 or newer).",
        ("further", "comparison", "runs"), stopped=True, rare=True, compared=False,
    ),
    Metric(
        "page_request_p50_s", "Page request, median", "request p50", MILLISECONDS,
        lambda run: run.counters.get("qemu_page_request_p50_s"),
        "In post-copy, how long it took from the destination's request for a page until the page was in its place, for half of all "
        "requests at most; by the trace of the destination QEMU, in which the pair has no part.",
        ("further", "comparison", "runs"), stopped=True, rare=True,
    ),
    Metric(
        "page_request_p99_s", "Page request, p99", "request p99", MILLISECONDS,
        lambda run: run.counters.get("qemu_page_request_p99_s"),
        "The same for 99 of 100 requests; none where there were fewer than 100.",
        ("further", "comparison", "runs"), stopped=True, rare=True,
    ),
    Metric(
        "postcopy_requests", "Page requests", "page requests", COUNT, lambda run: run.counters.get("qemu_postcopy_requests"),
        "How often the destination QEMU asked the source for a page in post-copy.",
        ("further", "comparison", "runs"), stopped=True, rare=True, compared=False,
    ),
    Metric(
        "wire_bytes", "Data transferred", "data", MEBIBYTES, lambda run: run.wire_bytes,
        "Bytes from source to destination, counted by the link outside both parties.",
        primary=True,
    ),
    Metric(
        "stream_bytes", "Stream", "stream", MEBIBYTES, lambda run: run.stream_bytes,
        "Bytes that the source produced, before any compression by the pair.",
        ("runs",),
    ),
    Metric(
        "ratio", "Wire ratio", "ratio", RATIO, lambda run: run.ratio,
        "Stream bytes that the source produced over the bytes on the wire.",
        ("page", "comparison", "runs"), more_is_better=True, compared=False,  # the data's change says it already
    ),
    Metric(
        "passes", "Passes", "passes", COUNT, lambda run: run.passes,
        "How often QEMU went over memory, by its own count (dirty-sync-count).",
        ("runs",), stopped=True,
    ),
    Metric(
        "cpu_source_s", "CPU, source", "source CPU", SECONDS, lambda run: _sum(run.cpu_s.source_qemu, run.cpu_s.sender),
        "User and system time of the source QEMU and the sender from start to end.",
        ("further", "comparison"),
    ),
    Metric(
        "cpu_destination_s", "CPU, destination", "destination CPU", SECONDS,
        lambda run: _sum(run.cpu_s.receiver, run.cpu_s.destination_qemu),
        "User and system time of the receiver and the destination QEMU from start to end.",
        ("comparison",),
    ),
    Metric(
        "cpu_total_s", "CPU on both sides", "CPU", SECONDS,
        lambda run: _sum(run.cpu_s.source_qemu, run.cpu_s.sender, run.cpu_s.receiver, run.cpu_s.destination_qemu),
        "User and system time of all four processes.",
        ("page", "terminal", "comparison", "pyperf"), primary=True,
    ),
)  # fmt: skip
METRICS = {metric.key: metric for metric in _ALL}
"""By the name that each has in ``Result.summary``, in the order in which they are shown."""


def shown_in(place: Place) -> tuple[Metric, ...]:
    """The metrics of one place, in their order."""
    return tuple(metric for metric in METRICS.values() if place in metric.places)
