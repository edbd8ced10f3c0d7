"""Which runs count, and how far one set of runs is from another.

Point estimates come from a result's own summary; only the interval of a ratio, which a summary has not, is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.result import MetricSummary, Result, Run
from reports.numbers import Metric

__all__ = [
    "SIGNIFICANT_P",
    "Tone",
    "counted_runs",
    "medians_run",
    "method_names",
    "ratio_interval",
    "summary_of",
    "tone_of",
    "values",
]

SIGNIFICANT_P = 0.05
Tone = Literal["better", "worse", "unclear", "plain"]
_RESAMPLES = 10_000
_FEWEST = 3  # below three runs a bootstrap only repeats them


def method_names(result: Result) -> tuple[str, ...]:
    """Every method in the scenario's order, then any that only its runs know."""
    declared = [str(method.get("name", "")) for method in result.scenario.get("methods", ())]
    return tuple(dict.fromkeys([name for name in declared if name] + [run.method for run in result.runs]))


def counted_runs(result: Result, method: str) -> tuple[Run, ...]:
    """Completed runs of ``method`` without warm-ups: what a summary is made of."""
    return tuple(r for r in result.runs if r.method == method and r.status == "completed" and not r.warmup)


def summary_of(result: Result, method: str, metric: str) -> MetricSummary | None:
    """The summary of one metric, if the result has it."""
    return result.summary.get(method, {}).get(metric)


def _sum(*parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


_DERIVED: dict[str, Callable[[Run], float | None]] = {
    "cpu_source_s": lambda run: _sum(run.cpu_s.source_qemu, run.cpu_s.sender),
    "cpu_destination_s": lambda run: _sum(run.cpu_s.destination_qemu, run.cpu_s.receiver),
    "cpu_total_s": lambda run: _sum(
        run.cpu_s.source_qemu, run.cpu_s.sender, run.cpu_s.receiver, run.cpu_s.destination_qemu
    ),
    "total_time_s": lambda run: run.total_time_s,
    "downtime_s": lambda run: run.downtime_s,
    "downtime_reported_s": lambda run: run.downtime_reported_s,
    "heartbeat_gap_s": lambda run: run.heartbeat_gap_s,
    "wire_bytes": lambda run: run.wire_bytes,
    "stream_bytes": lambda run: run.stream_bytes,
    "ratio": lambda run: run.ratio,
    "passes": lambda run: run.passes,
}


def values(runs: Sequence[Run], metric: str) -> tuple[float, ...]:
    """What the runs measured of a summary's metric; runs without it are left out."""
    return tuple(float(value) for run in runs if (value := _DERIVED[metric](run)) is not None)


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
