"""Which runs count, what they measured, and how far one set of runs is from another.

Point estimates come from a result's own summary; what a summary has not is computed here: the interval of a ratio, and CPU
time per GiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.results.metrics import METRICS, Metric
from harness.results.result import MetricSummary, Result, Run
from reports.facts import guest_memory_bytes, is_replay

__all__ = [
    "SIGNIFICANT_P",
    "Tone",
    "counted_methods",
    "counted_runs",
    "cpu_per_gib",
    "cpu_per_gib_metric",
    "gib_carried",
    "median_of",
    "medians_run",
    "method_names",
    "ratio_interval",
    "summary_of",
    "throughput_bytes_per_s",
    "tone_of",
    "values",
]

SIGNIFICANT_P = 0.05
Tone = Literal["better", "worse", "unclear", "plain"]
_RESAMPLES = 10_000
_FEWEST = 3  # below three runs a bootstrap only repeats them
_GIB = 1 << 30


def method_names(result: Result) -> tuple[str, ...]:
    """Every method in the scenario's order, then any that only its runs know."""
    declared = [str(method.get("name", "")) for method in result.scenario.get("methods", ())]
    return tuple(dict.fromkeys([name for name in declared if name] + [run.method for run in result.runs]))


def counted_runs(result: Result, method: str) -> tuple[Run, ...]:
    """Completed runs of ``method`` without warm-ups: what a summary is made of."""
    return tuple(r for r in result.runs if r.method == method and r.status == "completed" and not r.warmup)


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
    """The summary of one metric, if the result has it."""
    return result.summary.get(method, {}).get(metric)


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
    """What the runs measured of a summary's metric; runs without it are left out."""
    return tuple(float(value) for run in runs if (value := METRICS[metric].of(run)) is not None)


def tone_of(metric: Metric, summary: MetricSummary) -> Tone:
    """Better or worse only where the test says so; else unclear."""
    if summary.vs_baseline is None:
        return "plain"
    if summary.p_value is None or not summary.p_value < SIGNIFICANT_P or summary.vs_baseline == 1:
        return "unclear"
    return "better" if (summary.vs_baseline > 1) == metric.more_is_better else "worse"


def medians_run(runs: Sequence[Run]) -> Run | None:
    """The run whose total time is closest to the median: the one to draw when only one can be drawn."""
    timed = [(run.total_time_s, run) for run in runs if run.total_time_s is not None]
    if not timed:
        return None
    middle = median(time for time, _ in timed)
    return min(timed, key=lambda pair: abs(pair[0] - middle))[1]


def ratio_interval(new: Sequence[float], old: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of median(new) / median(old): percentile bootstrap, both sides resampled, fixed seed."""
    if len(new) < _FEWEST or len(old) < _FEWEST or not all(old):
        return None
    random = np.random.default_rng(len(new) * 1000 + len(old))

    def resampled(side: Sequence[float]) -> NDArray[np.float64]:
        drawn = random.choice(np.asarray(side, dtype=np.float64), size=(_RESAMPLES, len(side)))
        return np.asarray(np.median(drawn, axis=1), dtype=np.float64)

    low, high = np.percentile(resampled(new) / resampled(old), [2.5, 97.5])
    return float(low), float(high)
