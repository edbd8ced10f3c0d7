"""Which runs count, what they measured, and how far one set of runs is from another.

All of it is made of the runs, not of the summary that a file holds: the file may be of a version that made it otherwise. What is
said of a change is ``harness.results.verdicts``'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from harness.results import stats
from harness.results.metrics import METRICS, SMALLEST_EFFECT, Metric
from harness.results.result import MetricSummary, Result, Run
from harness.results.verdicts import Change, judge
from reports.facts import baseline_name, guest_memory_bytes, is_replay

Changes = Mapping[str, Mapping[str, Change]]
"""By metric's key, then by method."""
_GIB = 1 << 30
_KEPT = 64
"""Results: what a page sets beside each other."""


def method_names(result: Result) -> tuple[str, ...]:
    """Every method in the scenario's order, then any that only its runs know."""
    declared = [str(method.get("name", "")) for method in result.scenario.get("methods", ())]
    return tuple(dict.fromkeys([name for name in declared if name] + [run.method for run in result.runs]))


class _Made:
    """What pages ask for again and again of one result, which never changes."""

    def __init__(self, result: Result) -> None:
        self.result = result  # held: as long as it lives, no other has its id
        self.baseline = baseline_name(result)
        self.counted: dict[str, tuple[Run, ...]] = {}
        for run in result.runs:
            if run.status == "completed" and not run.warmup:
                self.counted[run.method] = (*self.counted.get(run.method, ()), run)
        self.values: dict[tuple[str, str], tuple[float, ...]] = {}
        self.changes: dict[str, Mapping[str, Change]] = {}


_made: dict[int, _Made] = {}
"""Of the last few results, by their ids."""


def _made_of(result: Result) -> _Made:
    if (found := _made.get(id(result))) is None:
        while len(_made) >= _KEPT:
            del _made[next(iter(_made))]
        found = _made[id(result)] = _Made(result)
    return found


def counted_runs(result: Result, method: str) -> tuple[Run, ...]:
    """Completed runs of ``method`` without warm-ups: what a summary is made of."""
    return _made_of(result).counted.get(method, ())


def counted_values(result: Result, method: str, metric: str) -> tuple[float, ...]:
    """What they measured of a summary's metric, as ``values`` has it."""
    known, key = _made_of(result).values, (method, metric)
    if key not in known:
        known[key] = values(counted_runs(result, method), metric)
    return known[key]


def counted_methods(result: Result) -> list[str]:
    """Methods with a counted run: what there is to draw."""
    return [name for name in method_names(result) if counted_runs(result, name)]


def cpu_per_gib_metric(result: Result) -> Metric:
    """The source's CPU time by what all methods of this result share.

    A replay moves the same stream by every method. Of a live guest it is the guest's memory: QEMU's own compression does not
    tell how long a stream it would have sent.
    """
    what = "stream" if is_replay(result) else "guest"
    whole = METRICS["cpu_source_s"]
    return replace(whole, key=f"{whole.key}_per_{what}_gib", title=f"{whole.title}, per GiB of {what}")


def gib_carried(result: Result, run: Run) -> float | None:
    """What ``cpu_per_gib_metric`` divides by."""
    carried_bytes = run.stream_bytes if is_replay(result) else guest_memory_bytes(result)
    return carried_bytes / _GIB if carried_bytes else None


def summary_of(result: Result, method: str, metric: str) -> MetricSummary | None:
    """The summary of one metric against the baseline, if a run has it."""
    base = _made_of(result).baseline
    numbers = counted_values(result, method, metric)
    reference = None if base in (None, method) else counted_values(result, str(base), metric)
    return stats.summary(numbers, reference) if numbers else None


def smallest_effect(result: Result) -> float:
    """The share by which a figure must change to matter, as the scenario says."""
    said = result.scenario.get("smallest_effect", SMALLEST_EFFECT)
    return said if isinstance(said, float) and 0 < said < 1 else SMALLEST_EFFECT


def against_baseline(result: Result, metrics: Iterable[Metric] = METRICS.values()) -> Changes:
    """Of every method but the baseline, by ``metrics``."""
    made, asked = _made_of(result), tuple(metrics)
    others = [name for name in counted_methods(result) if name != made.baseline] if made.baseline else []
    sides = {name: ((result, name), (result, str(made.baseline))) for name in others}
    made.changes |= _changes(sides, smallest_effect(result), [each for each in asked if each.key not in made.changes])
    return {each.key: made.changes[each.key] for each in asked}


def between(new: Result, old: Result, smallest: float | None = None) -> Changes:
    """Of every method that both have: from ``old`` to ``new``."""
    shared = [name for name in counted_methods(old) if counted_runs(new, name)]
    sides = {name: ((new, name), (old, name)) for name in shared}
    return _changes(sides, smallest_effect(old) if smallest is None else smallest, METRICS.values())


def _changes(
    sides: Mapping[str, tuple[tuple[Result, str], tuple[Result, str]]], smallest: float, metrics: Iterable[Metric]
) -> Changes:
    changes = {}
    for metric in metrics:
        samples = {
            name: (counted_values(*new, metric.key), counted_values(*old, metric.key))
            for name, (new, old) in sides.items()
        }
        changes[metric.key] = judge(metric, samples, smallest)
    return changes


def median_of(result: Result, method: str, metric: str) -> float | None:
    """Its median, if the result has it."""
    summary = summary_of(result, method, metric)
    return None if summary is None else summary.median


def throughput_bytes_per_s(result: Result, method: str) -> float | None:
    """Median stream bytes over median total time."""
    stream_bytes, total_s = median_of(result, method, "stream_bytes"), median_of(result, method, "total_time_s")
    return stream_bytes / total_s if stream_bytes and total_s else None


def cpu_per_gib(result: Result, method: str) -> MetricSummary | None:
    """The source's CPU time by ``cpu_per_gib_metric``."""
    whole = summary_of(result, method, "cpu_source_s")
    found = [gib for run in counted_runs(result, method) if (gib := gib_carried(result, run))]
    if whole is None or not found:
        return None
    gib = median(found)  # the same for all runs: effect and p are the whole's own
    return replace(whole, median=whole.median / gib, ci95=(whole.ci95[0] / gib, whole.ci95[1] / gib))


def values(runs: Sequence[Run], metric: str) -> tuple[float, ...]:
    """What the runs measured of a summary's metric; runs without it are left out, and what is no number."""
    found = (METRICS[metric].of(run) for run in runs)
    return tuple(float(value) for value in found if value is not None and math.isfinite(value))


def medians_run(runs: Sequence[Run]) -> Run | None:
    """The run whose total time is closest to the median: the one to draw when only one can be drawn."""
    timed = [(run.total_time_s, run) for run in runs if run.total_time_s is not None]
    if not timed:
        return None
    middle = median(time for time, _ in timed)
    return min(timed, key=lambda pair: abs(pair[0] - middle))[1]
