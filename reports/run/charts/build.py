"""Which charts a result gets, and which do not apply to it, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.results.result import Result
from reports.drawing.chart import Chart, Section, finished
from reports.drawing.parts import Spec
from reports.effects import counted_methods, cpu_per_gib_metric, summary_of
from reports.facts import is_replay
from reports.intervals import interval_sentence
from reports.run.charts import bars, choices, felt, frontiers, runs, steering, sweeps
from reports.run.charts.totals import totals
from reports.run.choices import Followed, followed
from reports.run.felt import felt as guest_felt
from reports.run.grid import Grid, grids, rule_sentence
from reports.run.offload import offload


@dataclass(frozen=True, slots=True)
class Charts:
    """What to show, and a sentence for each chart that this result has no data for."""

    shown: tuple[Chart, ...]
    omitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    key: str
    title: str
    caption: str
    draw: Callable[[Result], Spec | None]
    missing: str
    section: Section = "charts"


_TIME = _Plan(
    "time",
    "Time against bytes on the wire",
    "Small marks are single runs, large ones each method's medians. Lower and further left is better.",
    runs.time_and_bytes,
    "No chart of time against bytes: no counted run has both.",
)
_CPU = _Plan(
    "cpu",
    "CPU time by process",
    "Median CPU seconds, user and system, that one migration took in each process.",
    bars.cpu,
    "No chart of CPU time: no counted run measured it.",
)
_CPU_PER_GIB = {
    "cpu_source_s_per_guest_gib": "GiB of the guest's memory, zero pages and repeated passes not told apart",
    "cpu_source_s_per_stream_gib": "GiB of the replayed stream",
}
_PROGRESS = _Plan(
    "progress",
    "Progress over time",
    "Bytes on the wire in each method's median run. A mark stands where QEMU began another pass over memory.",
    runs.progress,
    "No chart of progress: no counted run kept samples.",
)
_CLASSES = _Plan(
    "classes",
    "How compressible the memory was",
    "Ratio of each page class under zlib level 1: as the scenario's fill declares it and as it was measured on this host.",
    runs.classes,
    "No chart of compressibility by page class: this result does not say which classes the memory was made of.",
)
_OFFLOAD = _Plan(
    "offload",
    "What a batch waited for",
    "Mean time of one batch, from when it wants the device until its answer is there; median over the runs.",
    bars.offload,
    "No chart of what a batch waited for: no device compressed one in a counted run.",
    "offload",
)
_FELT = _Plan(
    "felt",
    "The guest's throughput around the migration",
    "By the guest's own count, in each method's median run. The dashed line is its pace before the migration; while the guest "
    "stands still it does nothing. A circle below a curve stands where QEMU began another pass over memory, triangles above it "
    "where the source stopped and where the destination went on.",
    felt.throughput,
    "No chart of the guest's throughput: its counts of work are not in this result.",
    "felt",
)
_CODECS = _Plan(
    "codecs",
    "Ratio against speed",
    "Throughput of the whole path in stream bytes, by method. Figures beside the marks are levels. Up and right is better.",
    sweeps.ratio_and_speed,
    "No chart of ratio against speed: no method has both.",
)


_ATTEMPTS = (
    _Plan(
        "dirty-rate",
        "The highest dirty rate that converges",
        "Large marks: the highest rate at which most runs converged. The line ends at the lowest at which most did not. Small "
        "marks are single runs. Further right is better.",
        partial(frontiers.attempts, search="dirty_rate"),
        "No chart of the highest dirty rate: it was not looked for.",
    ),
    _Plan(
        "downtime-limit",
        "The lowest downtime limit that converges, and the downtime then",
        "Above: the limit that QEMU was given, with the lowest that converged large, and a line to the highest that did not. "
        "Below: how long the guest then stood still, with the median large. Further left is better.",
        partial(frontiers.attempts, search="downtime_limit"),
        "No chart of the lowest downtime limit: it was not looked for.",
    ),
)


def _totals_plan(result: Result) -> _Plan:
    return _Plan(
        "totals",
        "Total time by method",
        f"Diamonds are medians, small marks single runs. {_intervals(result, 'total_time_s')} The dashed line is the baseline's "
        "median. Further left is better.",
        totals,
        "No chart of total time by method: no counted run has one.",
    )


def _downtime_plan(result: Result) -> _Plan:
    return _Plan(
        "downtime",
        "Downtime, seen by three parties",
        "From the source's STOP to the destination's RESUME by one clock, as QEMU reports it, and as the longest silence of the "
        f"guest's own heartbeat. Large marks are medians, small ones single runs. {_intervals(result, *runs.DOWNTIMES)}",
        runs.downtime,
        "No chart of downtime: no counted run measured it.",
    )


def _intervals(result: Result, *metrics: str) -> str:
    found = (summary_of(result, method, metric) for method in counted_methods(result) for metric in metrics)
    return interval_sentence(summary.n for summary in found if summary is not None)


def _cpu_per_gib_plan(result: Result) -> _Plan:
    return _Plan(
        "cpu-per-gib",
        "CPU time per GiB on the source",
        f"Median CPU seconds of QEMU and of the pair's sender per {_CPU_PER_GIB[cpu_per_gib_metric(result).key]}. "
        "Dots are single runs' sums.",
        bars.cpu_per_gib,
        "No chart of CPU time per GiB: no counted run measured CPU time on the source and what it carried.",
    )


def _plans(result: Result) -> tuple[list[_Plan], list[str]]:
    if result.scenario.get("frontier"):  # its runs differ in what they tried: nothing else compares
        return [*_ATTEMPTS, _CLASSES], []
    cost = _cpu_per_gib_plan(result)
    if not is_replay(result):
        return [_totals_plan(result), _TIME, _PROGRESS, _downtime_plan(result), _CPU, cost, _CLASSES], []
    stopped = "No chart of downtime: a stream was replayed, nothing was stopped."
    if grids(result):
        return [_totals_plan(result), _TIME, _PROGRESS, _CPU, cost, _CLASSES], [
            stopped,
            "No chart of ratio against speed: only threads vary here.",
        ]
    return [_totals_plan(result), _CODECS, _TIME, _PROGRESS, _CPU, cost, _CLASSES], [stopped]


def _heat_map(_: Result, grid: Grid) -> Spec:
    return sweeps.heat_map(grid)


def _heat_plans(result: Result) -> list[_Plan]:
    return [
        _Plan(
            f"threads-{number}",
            f"Threads on both sides: {grid.title}",
            f"{rule_sentence(grid)} Cells are stream throughput in MiB/s; a frame marks those counts.",
            partial(_heat_map, grid=grid),
            "",
        )
        for number, grid in enumerate(grids(result), 1)
    ]


def _steering_plans(result: Result) -> list[_Plan]:
    """One for each of QEMU's parameters that a sender turned."""
    if result.scenario.get("frontier"):  # its runs differ in what they tried
        return []
    told = {str(entry.get("parameter")) for run in result.runs for entry in run.steering}
    return [
        _Plan(
            f"steering-{number}",
            f"What the source QEMU was told: {parameter}",
            "Each method's median run, of those that were steered. A mark is a change, made of what was delivered and what was "
            "under way then; at the end QEMU got its own value back.",
            partial(steering.steered, parameter=parameter),
            f"No chart of {parameter} over time: no counted run was steered by it.",
        )
        for number, parameter in enumerate(steering.PARAMETERS, 1)
        if parameter in told
    ]


def _choice_plans(result: Result) -> list[_Plan]:
    """Both charts of each method that decided, of one run."""
    return [plan for number, shown in enumerate(followed(result), 1) for plan in _plans_of_run(number, shown)]


def _plans_of_run(number: int, shown: Followed) -> tuple[_Plan, _Plan]:
    return (
        _Plan(
            f"choices-{number}",
            f"What {shown.method} chose",
            f"{shown.which}. A mark stands where the sender went over to a candidate, a bar lasts while it kept to it.",
            lambda _: choices.chosen(shown),
            "",
            "choices",
        ),
        _Plan(
            f"estimates-{number}",
            f"The estimates behind what {shown.method} chose",
            f"{shown.which}. As they were at each change, drawn on until the next. C and D are the chosen candidate's, of one "
            "thread; the link has no line until it has been the limit.",
            lambda _: choices.estimates(shown),
            f"No chart of the estimates behind what {shown.method} chose: its run {shown.repeat} noted no rates.",
            "choices",
        ),
    )


def build(result: Result) -> Charts:
    """Draw every chart that the result has data for."""
    plans, omitted = _plans(result)
    shown = []
    felt_plans = [_FELT] if guest_felt(result) else []
    offloaded = [_OFFLOAD] if offload(result) else []
    for plan in [
        *_heat_plans(result),
        *plans,
        *_steering_plans(result),
        *felt_plans,
        *offloaded,
        *_choice_plans(result),
    ]:
        drawn = plan.draw(result)
        if drawn is None:
            omitted.append(plan.missing)
        else:
            shown.append(finished(plan.key, plan.title, plan.caption, drawn, plan.section))
    return Charts(tuple(shown), tuple(omitted))
