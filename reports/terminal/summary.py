"""The tables at the end of ``pageferry run``: the published layout, one row per method; or frontiers. Knows results and rich."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import get_args

from rich.console import Console
from rich.table import Table

from harness.console import make_table, plain, print_note, print_warning
from harness.results.doubt import Doubt, Weight
from harness.results.doubts import FewRuns
from harness.results.metrics import METRICS, Metric, shown_in
from harness.results.result import MetricSummary, Result, conditions
from harness.results.search import Frontier, value_text
from harness.results.verdicts import Change, too_few
from reports.effects import against_baseline, counted_runs, method_names, summary_of
from reports.facts import baseline_name
from reports.intervals import held_text
from reports.numbers import effect_percent, plural, shown_digits
from reports.run.fallbacks import count, every_sentence, fallbacks_of
from reports.run.frontiers import times_text

_EFFECT_AFTER = 3  # columns: total time, downtime, data
_MOST_WARNINGS = 4
_OF_ONE_RUN = ("run", "clock")
_DEVICE_COUNTERS = ("sender_offload_", "sender_qat_")


def print_summary(console: Console, result: Result) -> None:
    """The table, why runs are missing, the result's warnings, and what was not compressed by the backend that a row names."""
    for table in frontier_tables(result) if result.scenario.get("frontier") else [summary_table(result)]:
        console.print(table)
    for method in method_names(result):
        if note := _note(result, method):
            console.print(f"{plain(method)}: {plain(note)}", highlight=False, soft_wrap=True)
    if few := _too_few(result):
        print_note(console, few)
    for sentence in conditions(result):
        print_note(console, sentence)
    lines = [*every_sentence(result), *_grouped(result)]
    for line in lines[:_MOST_WARNINGS]:
        print_warning(console, line)
    if len(lines) > _MOST_WARNINGS:
        print_note(console, f"and {plural(len(lines) - _MOST_WARNINGS, 'more warning')} in the report")


def _too_few(result: Result) -> str | None:
    """Of a search there is no verdict that more runs would bring."""
    judged = {} if result.scenario.get("frontier") else against_baseline(result, [METRICS["total_time_s"]])
    return too_few(change for of_methods in judged.values() for change in of_methods.values())


def _grouped(result: Result) -> list[str]:
    """A line for each kind, those that change what figures mean first; it names the other methods of which the same is true.

    Of what single runs doubt: what befell them, and not what each of them is like.
    """
    weights = get_args(Weight)
    found: list[tuple[Doubt, str | None]] = [(doubt, doubt.of_method) for doubt in result.doubts]
    counted = [run for run in result.runs if not run.warmup]
    found += [(doubt, run.method) for run in counted for doubt in run.doubts if doubt.subject in _OF_ONE_RUN]
    groups: dict[str, list[tuple[Doubt, str | None]]] = {}
    for doubt, method in sorted(found, key=lambda pair: weights.index(pair[0].weight)):
        groups.setdefault(_alike(doubt), []).append((doubt, method))
    return [_line(group) for group in groups.values()]


def _alike(doubt: Doubt) -> str:
    """Of all doubts of which the same is said: of one kind, and where it counts runs, of as many."""
    return doubt.words if doubt.subject == "unknown" or isinstance(doubt, FewRuns) else doubt.kind


def _line(group: Sequence[tuple[Doubt, str | None]]) -> str:
    doubt, method = group[0]
    others = [name for name in dict.fromkeys(name for _, name in group) if name not in (None, method)]
    words = doubt.sentence if method == doubt.of_method else f"{method}: {doubt.words}."
    return words + (f" The same of {', '.join(map(str, others))}." if others else "")


def summary_table(result: Result) -> Table:
    """Medians with their intervals, and the verdict on the total time against the baseline; beside n how surely intervals hold."""
    name = plain(result.scenario.get("name", ""))
    heads = [metric.short_heading for metric in shown_in("terminal")]
    columns = ("method", *heads[:_EFFECT_AFTER], "total: change", "verdict", *heads[_EFFECT_AFTER:], "verified", "n")
    table = make_table(f"{name}: medians \\[interval], and beside n how surely it holds", *columns, numbers=True)
    methods, totals = method_names(result), against_baseline(result, [METRICS["total_time_s"]])["total_time_s"]
    fallen = [_fell_back(result, method) for method in methods]
    if any(fallen):
        table.add_column("fell back", justify="right", no_wrap=True)
    for method, fell_back in zip(methods, fallen, strict=True):
        extra = [fell_back or "-"] * any(fallen)
        table.add_row(plain(method), *_cells(result, method, totals.get(method)), *extra)
    return table


def frontier_tables(result: Result) -> list[Table]:
    """One for each search: both ends of each method's bracket with their votes, and the downtime observed at the first."""
    name = plain(result.scenario.get("name", ""))
    tables = []
    for search in dict.fromkeys(each.search for each in result.frontiers):
        what = "highest dirty rate" if search == "dirty_rate" else "lowest downtime limit"
        columns = (
            "method",
            "converged at",
            "failed at",
            f"against {plain(baseline_name(result) or 'the baseline')}",
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
        times_text(frontier.vs_baseline, *frontier.vs_baseline_range) or "-",
        _milliseconds(frontier.downtimes_s),
        times_text(frontier.downtime_vs_baseline) or "-",
        str(frontier.runs),
    ]


def _end(frontier: Frontier, value: float | None, votes: tuple[int, int]) -> str:
    return "-" if value is None else f"{value_text(frontier.search, value)} \\[{votes[0]}/{votes[1]}]"


def _milliseconds(downtimes_s: Sequence[float]) -> str:
    """Median and range."""
    if not downtimes_s:
        return "-"
    low, middle, high = (f"{value * 1e3:.0f}" for value in (min(downtimes_s), median(downtimes_s), max(downtimes_s)))
    return middle if len(downtimes_s) < 2 else f"{middle} \\[{low}, {high}]"


def _cells(result: Result, method: str, change: Change | None) -> list[str]:
    numbers = [_number(metric, summary_of(result, method, metric.key)) for metric in shown_in("terminal")]
    completed, total = counted_runs(result, method), summary_of(result, method, "total_time_s")
    checked = [run.verified for run in completed if run.verified is not None]
    judged = ("-", "-") if change is None else (plain(effect_percent(change.ratio)), change.words)
    held = held_text(total.n) if total is not None else ""
    return [
        *numbers[:_EFFECT_AFTER],
        *judged,
        *numbers[_EFFECT_AFTER:],
        f"{sum(checked)}/{len(checked)}" if checked else "-",
        f"{len(completed)}{f' ({held})' * bool(held)}",
    ]


def _fell_back(result: Result, method: str) -> str:
    """``12/340``; ``0/340`` for a device that did all; empty for what is no device and has nothing to fall back from."""
    found = [f"{each.fallen}/{each.total}" for each in fallbacks_of(result, method)]
    runs = counted_runs(result, method)
    if not found and any(name.startswith(_DEVICE_COUNTERS) for run in runs for name in run.counters):
        return f"0/{sum(count(run, 'sender_batches') for run in runs)}"
    return " ".join(found)


def _number(metric: Metric, summary: MetricSummary | None) -> str:
    if summary is None:
        return "-"
    figures = (value * metric.unit.factor for value in (summary.median, *summary.ci95))
    middle, low, high = (f"{figure:.{shown_digits(metric, figure)}f}" for figure in figures)
    return middle if summary.n < 2 else f"{middle} \\[{low}, {high}]"


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
