"""Runs -> medians, intervals, effects; and each thing that makes a number doubtful.

Medians, because one run that the machine disturbed must not move a figure. Warm-ups and runs that did not complete are never
counted. What intervals and p-values are made of is ``inference``'s. Knows nothing of how runs are made.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator, Mapping, Sequence

from scipy import stats as scipy_stats

from harness.results import inference
from harness.results.document import Scalar
from harness.results.doubt import Doubt
from harness.results.doubts import (
    Drifting,
    FewRuns,
    Incomplete,
    Loaded,
    Outlier,
    ProcessorsDiffer,
    Spread,
    TwoModes,
    UncertainLoss,
    UnequalWork,
    Unverified,
)
from harness.results.metrics import METRICS
from harness.results.result import MetricSummary, Run
from harness.results.work import lost_within_s

WIDE_SPREAD = 0.10
UNSURE_LOSS = 0.5
"""Of what a guest lost: from this share on its error is a doubt."""
_SPREAD_METRICS = ("total_time_s", "downtime_s", "cpu_total_s")
_OUTLIER_SCORE = 3.5  # Iglewicz and Hoaglin's modified z-score
_OUTLIER_SHARE = 0.05
_OUTLIER_RUNS = 5
_MAD_TO_SIGMA = 0.6745
_APART = 2.0
"""Times the wider group: so far apart lie two groups of runs. Of 4,000 samples of 6 normal runs 4 % look so, of 10 less than 0.1 %,
before the gap must also be ``_APART_SHARE`` of the median."""
_APART_SHARE = 0.05
_DRIFT_P, _DRIFT_SHARE = 0.01, 0.02
_IDLE_LOAD = 0.25  # of a core's, as doctor has it


def summarise(runs: Sequence[Run], baseline: str) -> dict[str, dict[str, MetricSummary]]:
    """By method, then by metric; a metric that no run has is absent, so is a method without a completed run."""
    values = {method: _by_metric(of_method) for method, of_method in _completed(runs).items()}
    reference = values.get(baseline, {})
    return {
        method: {
            metric: summary(numbers, None if method == baseline else reference.get(metric))
            for metric, numbers in metrics.items()
        }
        for method, metrics in values.items()
    }


@functools.lru_cache(maxsize=4096)
def summary(numbers: tuple[float, ...], reference: tuple[float, ...] | None) -> MetricSummary:
    """Of what a method's runs measured, against the baseline's. A page asks for each several times."""
    median, found = statistics.median(numbers), inference.median_interval(numbers)
    known = (median, (found.low, found.high), len(numbers))
    base = statistics.median(reference) if reference else 0.0
    if not reference or base <= 0 or median < 0:  # a guest can make up for more work than it lost
        return MetricSummary(*known, coverage=found.coverage)
    p_value = inference.p_value(numbers, reference) if min(len(numbers), len(reference)) > 1 else None
    return MetricSummary(*known, median / base, p_value, found.coverage)


def _by_metric(runs: Sequence[Run]) -> dict[str, tuple[float, ...]]:
    found = {key: [metric.of(run) for run in runs] for key, metric in METRICS.items()}
    known = {
        name: tuple(sorted(float(value) for value in values if value is not None)) for name, values in found.items()
    }
    return {name: values for name, values in known.items() if values}


def _completed(runs: Sequence[Run]) -> dict[str, list[Run]]:
    methods: dict[str, list[Run]] = {}
    for run in runs:
        if run.status == "completed" and not run.warmup:
            methods.setdefault(run.method, []).append(run)
    return methods


def doubts(runs: Sequence[Run]) -> list[Doubt]:
    """All that makes these runs' summary doubtful, in the methods' order."""
    completed = _completed(runs)
    found: list[Doubt] = []
    for method in dict.fromkeys(run.method for run in runs):
        counted = [run for run in runs if run.method == method and not run.warmup]
        found += _incomplete(method, counted)
        if method in completed:
            found += _few(method, completed[method])
            found += _unverified(method, completed[method])
            found += _spread(method, completed[method])
            found += _outliers(method, completed[method])
            found += _two_modes(method, completed[method])
            found += _drift(method, completed[method])
            found += _uncertain_loss(method, completed[method])
    return [*found, *_unequal_work(completed)]


def _incomplete(method: str, counted: Sequence[Run]) -> Iterator[Doubt]:
    lost = [run for run in counted if run.status in ("failed", "timeout")]
    if lost:
        why = lost[0].reason or lost[0].error or lost[0].status
        yield Incomplete(method, len(lost), len(counted), why)


def _few(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    if len(runs) < inference.FEWEST:
        yield FewRuns(method, len(runs))


def _unverified(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    unproven = sum(run.verified is not True for run in runs)
    if unproven:
        yield Unverified(method, unproven, len(runs))


def _spread(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    for key in _SPREAD_METRICS:
        numbers = _by_metric(runs).get(key, ())
        mean = statistics.fmean(numbers) if numbers else 0.0
        if len(numbers) < 2 or mean == 0:
            continue
        share = statistics.stdev(numbers) / mean
        if share > WIDE_SPREAD:
            yield Spread(method, key, METRICS[key].words, share)


def _uncertain_loss(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    works = [run.work for run in runs if run.work is not None]
    if works:
        lost_s, within_s = statistics.median(work.lost_s for work in works), lost_within_s(works)
        if within_s is None or within_s > UNSURE_LOSS * abs(lost_s):
            yield UncertainLoss(method, lost_s, within_s)


def _outliers(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    timed = [(run, run.total_time_s) for run in runs if run.total_time_s is not None]
    if len(timed) < _OUTLIER_RUNS:
        return
    median = statistics.median(time for _, time in timed)
    mad = statistics.median(abs(time - median) for _, time in timed)
    for run, time in timed:
        off = abs(time - median)
        if off > _OUTLIER_SHARE * median and _MAD_TO_SIGMA * off > _OUTLIER_SCORE * mad:
            yield Outlier(method, run.repeat, time, median)


def _two_modes(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    times = sorted(run.total_time_s for run in runs if run.total_time_s is not None)
    if len(times) < inference.FEWEST:
        return
    cut = max(
        range(2, len(times) - 1), key=lambda index: times[index] - times[index - 1]
    )  # two runs on each side at least
    lower, upper, gap = times[:cut], times[cut:], times[cut] - times[cut - 1]
    widest = max(lower[-1] - lower[0], upper[-1] - upper[0])
    if gap > _APART * widest and gap > _APART_SHARE * statistics.median(times):
        yield TwoModes(method, len(lower), statistics.median(lower), len(upper), statistics.median(upper))


def _drift(method: str, runs: Sequence[Run]) -> Iterator[Doubt]:
    """By Kendall's rank correlation with the order of the repeats, exact for so few."""
    times = [run.total_time_s for run in sorted(runs, key=lambda run: run.repeat) if run.total_time_s is not None]
    if len(times) < inference.FEWEST or min(times) == max(times):
        return
    third = len(times) // 3
    share = statistics.median(times[-third:]) / statistics.median(times[:third]) - 1
    if abs(share) > _DRIFT_SHARE and scipy_stats.kendalltau(range(len(times)), times).pvalue < _DRIFT_P:
        yield Drifting(method, share)


def machine_doubts(environment: Mapping[str, Scalar]) -> list[Doubt]:
    """Of the machine on which a result is made."""
    load, cores = environment.get("load_1min"), environment.get("cores")
    busy = isinstance(load, float) and isinstance(cores, int) and load > _IDLE_LOAD * cores
    return [*([Loaded(load, cores)] if busy else []), *_processors(environment)]  # type: ignore[arg-type] # as looked at


def _processors(environment: Mapping[str, Scalar]) -> Iterator[Doubt]:
    """Of two hosts, where the guest has the processor of the one that it is on."""
    if not str(environment.get("cpu_of_guest")).startswith("host"):
        return
    near, far, lacks = (
        str(environment.get(name) or "")
        for name in ("source_cpu_model", "destination_cpu_model", "destination_cpu_lacks")
    )
    if near != far or lacks:
        yield ProcessorsDiffer(near, far, lacks)


def _unequal_work(completed: dict[str, list[Run]]) -> Iterator[Doubt]:
    passes = {method: _by_metric(runs).get("passes") for method, runs in completed.items()}
    medians = {method: statistics.median(numbers) for method, numbers in passes.items() if numbers}
    if not medians:
        return
    fewest, most = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    if medians[most] - medians[fewest] >= 1:
        yield UnequalWork(fewest, medians[fewest], most, medians[most])
