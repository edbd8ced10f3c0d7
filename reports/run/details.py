"""Everything below the charts: warnings, environment, parameters as read back, every run with its raw figures.

Result -> dataclasses of text. Knows no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.results.doubt import Doubt
from harness.results.metrics import METRICS, Metric, shown_in
from harness.results.result import MetricSummary, Result, Run, Sample
from harness.results.verdicts import Change
from reports.effects import (
    Changes,
    counted_runs,
    cpu_per_gib,
    cpu_per_gib_metric,
    method_names,
    summary_of,
    values,
)
from reports.intervals import held_text
from reports.numbers import DASH, amount, effect_percent, interval_text, p_text, plural, scaled
from reports.run.faults import fault_text
from reports.table import Table

_FIGURES = (
    "Method",
    "Metric",
    "Median",
    "Interval",
    "Holds with",
    "Best to worst",
    "n",
    "Ratio to baseline",
    "Change",
    "p",
    "Verdict",
)
_METHODS_ACROSS = 6  # what A4 has room for
_ALWAYS = 2  # columns: the run, and its status
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning and what it is about."""

    about: str
    text: str


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run in words. ``key``: its name in a link."""

    key: str
    title: str
    status: str
    reason: str
    error: str
    started_at: str
    verification: tuple[str, ...]
    warnings: tuple[str, ...]
    counters: tuple[tuple[str, str], ...]
    samples: str


@dataclass(frozen=True, slots=True)
class MethodRuns:
    """All runs of one method, warm-ups too: their raw figures in ``table``, in words in ``runs``."""

    method: str
    title: str
    table: Table
    runs: tuple[RunDetail, ...]


def _raw(value: Scalar) -> str:
    """A value as stored, spelled for a reader."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _labels(runs: list[Run]) -> str:
    return ", ".join("warm-up" if run.warmup else str(run.repeat) for run in runs)


def doubts_about(result: Result, method: str) -> int:
    """How many different warnings one method's figures carry, the result's own about it and its runs'."""
    own = {doubt for doubt in result.doubts if doubt.of_method == method}
    return len(own | {doubt for run in result.runs if run.method == method for doubt in run.doubts})


def warnings(result: Result) -> tuple[Warned, ...]:
    """The result's own warnings, then each run's, one line per method and text with the runs that it is about."""
    found = [Warned(doubt.of_method or "whole result", doubt.words) for doubt in result.doubts]
    grouped: dict[tuple[str, Doubt], list[Run]] = {}
    for run in result.runs:
        for doubt in run.doubts:
            grouped.setdefault((run.method, doubt), []).append(run)
    for (method, doubt), runs in grouped.items():
        about = f"{method}, {'runs' if len(runs) > 1 else 'run'} {_labels(runs)}"
        found.append(Warned(about, doubt.sentence))
    return tuple(found)


def every_figure(result: Result, methods: Sequence[str], changes: Changes) -> Table:
    """Every metric of the methods' summaries, in the table's order: what a mail to a list quotes. ``changes``: of all metrics."""
    rows = tuple(
        _figure(method, metric, summary, changes.get(metric.key, {}).get(method), counted_runs(result, method))
        for method in methods
        for metric, summary in _summaries(result, method)
        if summary is not None
    )
    return Table(
        "Every median with its interval, range, n, ratio and p-value",
        _FIGURES,
        rows,
        words=(0, 1, len(_FIGURES) - 1),
        folded=True,
    )


def _summaries(result: Result, method: str) -> list[tuple[Metric, MetricSummary | None]]:
    known = [(metric, summary_of(result, method, key)) for key, metric in METRICS.items()]
    return [*known, (cpu_per_gib_metric(result), cpu_per_gib(result, method))]


def _range_text(metric: Metric, runs: Sequence[Run]) -> str:
    """The best run's figure and the worst's; a dash for a metric that no single run is measured by."""
    found = sorted(values(runs, metric.key), reverse=metric.more_is_better) if metric.key in METRICS else []
    return interval_text(metric, (found[0], found[-1]) if found else None) or DASH


def _figure(
    method: str, metric: Metric, summary: MetricSummary, change: Change | None, runs: Sequence[Run]
) -> tuple[str, ...]:
    return (
        method,
        metric.heading,
        scaled(metric, summary.median),
        interval_text(metric, summary.ci95) or DASH,
        held_text(summary.n) or DASH,
        _range_text(metric, runs),
        str(summary.n),
        amount(summary.vs_baseline, 3),
        effect_percent(summary.vs_baseline) or DASH,
        p_text(summary.p_value) or DASH,
        "" if change is None else change.words,
    )


def environment(result: Result) -> Table:
    """The flat environment, names spelled with spaces."""
    rows = tuple((key.replace("_", " "), _raw(value)) for key, value in result.environment.items())
    return Table("Environment", ("What", "Value"), rows, words=(0, 1), missing="This result holds no environment.")


def _setting(runs: list[Run], name: str) -> tuple[str, ...]:
    """Every value that a method's runs read back; empty where none did."""
    seen = tuple(dict.fromkeys(_raw(run.parameters[name]) if name in run.parameters else "absent" for run in runs))
    return () if seen == ("absent",) else seen


def parameters(result: Result) -> tuple[tuple[Table, ...], str]:
    """Parameters as read back, a column per method, and how far its runs agreed; as many tables as paper has room for. Runs that
    read nothing back are left out: they failed before."""
    every = {name: [r for r in result.runs if r.method == name and r.parameters] for name in method_names(result)}
    read = [(method, runs) for method, runs in every.items() if runs]
    tables = tuple(_parameters(read[at : at + _METHODS_ACROSS]) for at in range(0, len(read), _METHODS_ACROSS))
    differing = {row[0] for table in tables for row, mark in zip(table.rows, table.marks, strict=True) if mark}
    if not differing:
        return tables, "The runs of each method agreed on every one." if tables else "No run read any parameter back."
    return tables, f"{plural(len(differing), 'setting')} differed across the runs of one method."


def _parameters(read: Sequence[tuple[str, list[Run]]]) -> Table:
    names = sorted({name for _, runs in read for run in runs for name in run.parameters})
    settings = [[_setting(runs, name) for _, runs in read] for name in names]
    methods = [method for method, _ in read]
    return Table(
        f"Parameters as read back: {', '.join(methods)}",
        ("Parameter", *methods),
        tuple((name, *map(_seen_text, row)) for name, row in zip(names, settings, strict=True)),
        words=tuple(range(len(read) + 1)),
        marks=tuple("differs" if any(len(seen) > 1 for seen in row) else "" for row in settings),
    )


def _seen_text(seen: tuple[str, ...]) -> str:
    return " | ".join(seen) + (" (differs across runs)" if len(seen) > 1 else "")


def _raw_figure(metric: Metric, run: Run) -> tuple[str, str]:
    """Heading and value: one run's sizes are told to the byte."""
    value, unit = metric.of(run), metric.unit
    if unit.stored == "byte":
        return f"{metric.title} (bytes)", amount(value)
    return metric.heading, amount(None if value is None else value * unit.factor, unit.run_digits)


def _figures(run: Run) -> dict[str, str]:
    cpu = run.cpu_s
    return {
        **dict(_raw_figure(metric, run) for metric in shown_in("runs")),
        "CPU source QEMU (s)": amount(cpu.source_qemu, 3),
        "sender (s)": amount(cpu.sender, 3),
        "receiver (s)": amount(cpu.receiver, 3),
        "destination QEMU (s)": amount(cpu.destination_qemu, 3),
        "Verified": DASH if run.verified is None else _raw(run.verified),
    }


def _samples_text(samples: tuple[Sample, ...]) -> str:
    return (
        f"{plural(len(samples), 'sample')} of its progress in the raw JSON" if samples else "no samples of its progress"
    )


def _title(run: Run) -> str:
    """``warm-up``, ``run 3``, or ``run 3, dirty rate 112 MiB/s: converged``."""
    if run.attempt is None or run.attempt.converged is None:
        return "warm-up" if run.warmup else f"run {run.repeat}"
    outcome = "converged" if run.attempt.converged else f"did not converge, {run.attempt.why}"
    return f"run {run.repeat}, {run.attempt.tried}: {outcome}"


def _detail(run: Run, number: int, *, lean: bool = False) -> RunDetail:
    return RunDetail(
        key=f"run-{run.method.replace(' ', '-')}-{number}",
        title=_title(run),
        status=run.status,
        reason=run.reason or "",
        error=run.error or "",
        started_at=run.started_at or "",
        verification=() if lean else run.verification,
        warnings=(*run.warnings, *filter(None, [fault_text(run)])),
        counters=() if lean else tuple((name, _raw(value)) for name, value in run.counters.items()),
        samples="" if lean else _samples_text(run.samples),
    )


def every_run(result: Result, *, lean: bool = False) -> tuple[MethodRuns, ...]:
    """All runs, by method in the scenario's order, each method's in the order in which they were made.

    ``lean``: without columns that hold nothing and, in words, without counters and runs that say nothing.
    """
    made = _lean_runs_of if lean else _runs_of
    return tuple(made(method, [r for r in result.runs if r.method == method]) for method in method_names(result))


def _runs_of(method: str, runs: list[Run]) -> MethodRuns:
    told = tuple(map(_detail, runs, range(1, len(runs) + 1)))
    return MethodRuns(method, plural(len(runs), "run"), _runs_table(method, runs), told)


def _lean_runs_of(method: str, runs: list[Run]) -> MethodRuns:
    table = _runs_table(method, runs)
    every = [_detail(run, number, lean=True) for number, run in enumerate(runs, 1)]
    columns = list(zip(*table.rows, strict=True))
    kept = [index for index, cells in enumerate(columns) if index < _ALWAYS or any(cell != DASH for cell in cells)]
    table = replace(
        table,
        headings=tuple(table.headings[index] for index in kept),
        rows=tuple(tuple(row[index] for index in kept) for row in table.rows),
        ids=tuple(run.key for run in every),
    )
    told = tuple(run for run in every if run.reason or run.error or run.warnings)
    return MethodRuns(method, plural(len(runs), "run"), table, told)


def _runs_table(method: str, runs: list[Run]) -> Table:
    return Table(
        f"Runs of {method}",
        ("Run", "Status", *_figures(Run("", 0, warmup=False, status="skipped"))),
        tuple((_title(run), run.status, *_figures(run).values()) for run in runs),
        words=(0, 1),
        missing="No run of it was made.",
        marks=tuple("warmup" if run.warmup else "" for run in runs),
    )
