"""The table at the end of ``pageferry run``: the published layout, one row per method. Knows results and rich."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.console import make_table
from harness.result import MetricSummary, Result

__all__ = ["print_summary", "summary_table"]


def print_summary(console: Console, result: Result) -> None:
    """The table and the result's warnings."""
    console.print(summary_table(result))
    for warning in result.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)


def summary_table(result: Result) -> Table:
    """Medians with their 95 % intervals, and the effect on the total time against the baseline."""
    name = escape(str(result.scenario.get("name", "")))
    columns = ("method", "total ms", "downtime ms", "data KB", "effect", "CPU s", "verified", "n")
    table = make_table(f"{name}: medians \\[95 % interval]", *columns, numbers=True)
    notes = {method: _note(result, method) for method in _methods(result)}
    if any(notes.values()):
        table.add_column("note", overflow="fold")
    for method, note in notes.items():
        cells = _cells(result, method)
        table.add_row(escape(method), *cells, *([escape(note)] if any(notes.values()) else []))
    return table


def _methods(result: Result) -> list[str]:
    declared = [str(method["name"]) for method in result.scenario.get("methods", ())]
    return list(dict.fromkeys([*declared, *(run.method for run in result.runs)]))


def _cells(result: Result, method: str) -> list[str]:
    metrics: Mapping[str, MetricSummary] = result.summary.get(method, {})
    total = metrics.get("total_time_s")
    completed = [r for r in result.runs if r.method == method and not r.warmup and r.status == "completed"]
    checked = [run.verified for run in completed if run.verified is not None]
    return [
        _number(total, 1000),
        _number(metrics.get("downtime_s"), 1000),
        _number(metrics.get("wire_bytes"), 1 / 1024),
        effect(total),
        _number(metrics.get("cpu_total_s"), 1, digits=2),
        f"{sum(checked)}/{len(checked)}" if checked else "-",
        str(len(completed)),
    ]


def _number(metric: MetricSummary | None, factor: float, digits: int = 0) -> str:
    if metric is None:
        return "-"
    median, low, high = (f"{value * factor:.{digits}f}" for value in (metric.median, *metric.ci95))
    return median if metric.n < 2 else f"{median} \\[{low}, {high}]"


def effect(metric: MetricSummary | None) -> str:
    """Change against the baseline: ``-53 %`` is 53 % less. A dash for the baseline, and where there is none."""
    if metric is None or metric.vs_baseline is None:
        return "-"
    return f"{(metric.vs_baseline - 1) * 100:+.0f} %"


def _note(result: Result, method: str) -> str:
    """Why runs are missing: the first reason, and how many it took. Warm-ups too: a skipped method has but one run."""
    missing = [run for run in result.runs if run.method == method and run.status != "completed"]
    if not missing:
        return ""
    first = missing[0]
    reason = (first.reason or first.error or "no reason given").splitlines()[0]
    return f"{first.status}: {reason}" if first.status == "skipped" else f"{len(missing)} {first.status}: {reason}"
