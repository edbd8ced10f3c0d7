"""The tables at the end of ``pageferry run``: the published layout, one row per method; or frontiers. Knows results and rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from harness.console import make_table, plain, print_note, print_warning
from harness.results.metrics import Unit, shown_in
from harness.results.result import MetricSummary, Result, Run, conditions
from harness.results.search import Frontier, value_text

__all__ = ["print_summary", "summary_table"]

_EFFECT_AFTER = 3  # columns: total time, downtime, data
_DEVICE_COUNTERS = ("sender_offload_", "sender_qat_")


def print_summary(console: Console, result: Result) -> None:
    """The table, why runs are missing, the result's warnings, and what was not compressed by the backend that a row names."""
    for table in frontier_tables(result) if result.scenario.get("frontier") else [summary_table(result)]:
        console.print(table)
    for method in _methods(result):
        if note := _note(result, method):
            console.print(f"{plain(method)}: {plain(note)}", highlight=False, soft_wrap=True)
    for sentence in conditions(result):
        print_note(console, sentence)
    for warning in result.warnings:
        print_warning(console, warning)
    for sentence in _fallbacks(result):
        print_warning(console, sentence)


def summary_table(result: Result) -> Table:
    """Medians with their 95 % intervals, and the effect on the total time against the baseline."""
    name = plain(result.scenario.get("name", ""))
    heads = [metric.short_heading for metric in shown_in("terminal")]
    columns = ("method", *heads[:_EFFECT_AFTER], "effect", *heads[_EFFECT_AFTER:], "verified", "n")
    table = make_table(f"{name}: medians \\[95 % interval]", *columns, numbers=True)
    methods = _methods(result)
    fallen = [_fell_back(result, method) for method in methods]
    if any(fallen):
        table.add_column("fell back", justify="right", no_wrap=True)
    for method, fell_back in zip(methods, fallen, strict=True):
        extra = [fell_back or "-"] * any(fallen)
        table.add_row(plain(method), *_cells(result, method), *extra)
    return table


def frontier_tables(result: Result) -> list[Table]:
    """One for each search: both ends of each method's bracket with their votes, and the downtime observed at the first."""
    name = plain(result.scenario.get("name", ""))
    base = next((str(m["name"]) for m in result.scenario.get("methods", ()) if m.get("baseline")), "the baseline")
    tables = []
    for search in dict.fromkeys(each.search for each in result.frontiers):
        what = "highest dirty rate" if search == "dirty_rate" else "lowest downtime limit"
        columns = (
            "method",
            "converged at",
            "failed at",
            f"against {plain(base)}",
            "downtime ms",
            "against it",
            "runs",
        )
        table = make_table(f"{name}: {what} at which it converges \\[votes]", *columns, numbers=True)
        for each in result.frontiers:
            if each.search == search:
                table.add_row(plain(each.method), *_frontier_cells(each))
        tables.append(table)
    return tables


def _frontier_cells(frontier: Frontier) -> list[str]:
    failed = _end(frontier, frontier.failed_at, frontier.failed_runs)
    return [
        _end(frontier, frontier.converged_at, frontier.converged_runs),
        f"{failed} guest" if frontier.guest_limited else failed,
        _times(frontier.vs_baseline, *frontier.vs_baseline_range),
        _milliseconds(frontier.downtimes_s),
        _times(frontier.downtime_vs_baseline),
        str(frontier.runs),
    ]


def _end(frontier: Frontier, value: float | None, votes: tuple[int, int]) -> str:
    return "-" if value is None else f"{value_text(frontier.search, value)} \\[{votes[0]}/{votes[1]}]"


def _times(ratio: float | None, low: float | None = None, high: float | None = None) -> str:
    """``2.8 x (2.6 to 3.1)``; an end that was not found is open."""
    bounds = [f"{word} {end:.2f}" for word, end in (("over", low), ("under", high)) if end is not None]
    return "-" if ratio is None else f"{ratio:.2f} x" + (f" ({', '.join(bounds)})" if bounds else "")


def _milliseconds(downtimes_s: Sequence[float]) -> str:
    """Median and range."""
    if not downtimes_s:
        return "-"
    low, middle, high = (f"{value * 1e3:.0f}" for value in (min(downtimes_s), median(downtimes_s), max(downtimes_s)))
    return middle if len(downtimes_s) < 2 else f"{middle} \\[{low}, {high}]"


def _methods(result: Result) -> list[str]:
    declared = [str(method["name"]) for method in result.scenario.get("methods", ())]
    return list(dict.fromkeys([*declared, *(run.method for run in result.runs)]))


def _cells(result: Result, method: str) -> list[str]:
    metrics: Mapping[str, MetricSummary] = result.summary.get(method, {})
    numbers = [_number(metrics.get(metric.key), metric.unit) for metric in shown_in("terminal")]
    completed = _completed(result, method)
    checked = [run.verified for run in completed if run.verified is not None]
    return [
        *numbers[:_EFFECT_AFTER],
        effect(metrics.get("total_time_s")),
        *numbers[_EFFECT_AFTER:],
        f"{sum(checked)}/{len(checked)}" if checked else "-",
        str(len(completed)),
    ]


def _completed(result: Result, method: str) -> list[Run]:
    return [run for run in result.runs if run.method == method and not run.warmup and run.status == "completed"]


def _counted(result: Result, method: str, counter: str) -> int:
    return int(sum(run.counters.get(counter, 0) for run in _completed(result, method)))


def _stand_ins(result: Result, method: str) -> Iterator[tuple[int, int, str, str]]:
    """What the row's backend did not compress itself: how many, of how many, of what, and who did it instead."""
    if fallen := _counted(result, method, "fallbacks"):
        used = (run.parameters.get("sender.fallback") for run in _completed(result, method))
        by = next((str(name).replace(":", " ") for name in used if name), "another codec")
        yield fallen, _counted(result, method, "sender_batches"), "batches", by
    if software := _counted(result, method, "sender_qat_software_calls"):
        yield software, software + _counted(result, method, "sender_qat_hardware_calls"), "calls", "QATzip's software"


def _fell_back(result: Result, method: str) -> str:
    """``12/340``; ``0/340`` for a device that did all; empty for what is no device and has nothing to fall back from."""
    found = [f"{fallen}/{total}" for fallen, total, _, _ in _stand_ins(result, method)]
    if not found and any(key.startswith(_DEVICE_COUNTERS) for r in _completed(result, method) for key in r.counters):
        return f"0/{_counted(result, method, 'sender_batches')}"
    return " ".join(found)


def _fallbacks(result: Result) -> Iterator[str]:
    """A sentence for each row whose figures are not all its backend's."""
    for method in _methods(result):
        for fallen, total, units, by in _stand_ins(result, method):
            words = f"{method}: {fallen} of {total} {units} fell back to {by}"
            yield f"{words}; this is no offload result" if fallen >= total else words


def _number(metric: MetricSummary | None, unit: Unit) -> str:
    if metric is None:
        return "-"
    median, low, high = (f"{value * unit.factor:.{unit.digits}f}" for value in (metric.median, *metric.ci95))
    return median if metric.n < 2 else f"{median} \\[{low}, {high}]"


def effect(metric: MetricSummary | None) -> str:
    """Change against the baseline: ``-53 %`` is 53 % less. A dash for the baseline, and where there is none."""
    if metric is None or metric.vs_baseline is None:
        return "-"
    return f"{(metric.vs_baseline - 1) * 100:+.0f} %"


def _note(result: Result, method: str) -> str:
    """Why runs are missing: the first reason, and how many it took. Warm-ups too: a skipped method has but one run."""
    missing = [run for run in result.runs if run.method == method and run.status != "completed"]
    missing = [
        run for run in missing if run.attempt is None or run.status != "timeout"
    ]  # a search's timeout is a finding
    if not missing:
        return ""
    first = missing[0]
    reason = (first.reason or first.error or "no reason given").splitlines()[0]
    return f"{first.status}: {reason}" if first.status == "skipped" else f"{len(missing)} {first.status}: {reason}"
