"""The first screen's data: a row per method with its figures and effects, with the sentences that they add up to.

Result -> dataclasses of text. Knows no HTML. Methods without a figure keep their row, with the reason in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from harness.results.inference import FEWEST
from harness.results.metrics import METRICS, Metric, shown_in
from harness.results.result import MetricSummary, Result, Run, conditions
from harness.results.verdicts import NOTE, Change, Word, share_text
from harness.results.work import lost_within_s
from reports import facts
from reports.effects import (
    Changes,
    counted_runs,
    cpu_per_gib,
    cpu_per_gib_metric,
    method_names,
    smallest_effect,
    summary_of,
    values,
)
from reports.numbers import DASH, change_details, effect_percent, interval_text, percent, plural, scaled
from reports.run.details import doubts_about
from reports.run.fallbacks import Share, alerts, fallbacks_of, worst
from reports.run.published import PublishedRow, published_for
from reports.run.sentences import fastest, sentences

__all__ = ["Cell", "PublishedRows", "Row", "Verdict", "verdict"]

Mark = Literal["yes", "no", "partly", "unknown"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: the median, its change against the baseline, what is known about both.

    ``effect`` is empty where a column has effects but this cell has none, and None in columns without. ``meaning``: of a
    primary metric the verdict. ``beside``: the figure per what was carried, or how far it may be off, with its words.
    """

    heading: str
    value: str
    effect: str | None = None
    tone: Word = "unjudged"
    meaning: str = ""
    interval: str | None = None
    p: str | None = None
    beside: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is a figure at all."""
        return self.value != DASH


@dataclass(frozen=True, slots=True)
class Row:
    """One method. ``state`` is empty when every counted run completed; else it says what happened, and why.

    ``trouble``: a run failed or ran out of time; a skipped method is only missing.
    ``blank``: no cell holds a figure, so that ``state`` may take their place.
    ``coverage``: how surely this row's intervals hold. ``fallbacks``: what another codec compressed, and in ``fallen`` whether
    that was all, most or some of it.
    """

    method: str
    how: str
    baseline: bool
    best: bool
    blank: bool
    cells: tuple[Cell, ...]
    n: str
    coverage: str
    verified: Mark
    verified_text: str
    state: str
    trouble: bool
    fallbacks: tuple[str, ...]
    fallen: Share | None
    warnings: str


@dataclass(frozen=True, slots=True)
class PublishedRows:
    """Figures by others, in the columns of the table that they stand in: method, how, cells, n."""

    title: str
    rows: tuple[tuple[str, str, tuple[Cell, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The table, the sentences above it and the notes below. ``alerts``: what to know before any figure."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    alerts: tuple[str, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    published: PublishedRows | None
    figures: int
    span: int


def _cells(result: Result, method: str, columns: tuple[Metric, ...], changes: Changes) -> tuple[Cell, ...]:
    beside = {"cpu_source_s": _rate(result, method), "work_lost_s": _lost_within(result, method)} | _worst(
        result, method
    )
    cells = {
        column.key: _cell(column, summary_of(result, method, column.key), changes[column.key].get(method))
        for column in columns
    }
    return tuple(replace(cell, beside=beside.get(key)) for key, cell in cells.items())


def _rate(result: Result, method: str) -> str | None:
    rate = cpu_per_gib(result, method)
    what = "stream" if facts.is_replay(result) else "guest"
    return None if rate is None else f"{scaled(cpu_per_gib_metric(result), rate.median)} per GiB of {what}"


def _lost_within(result: Result, method: str) -> str | None:
    within_s = lost_within_s(run.work for run in counted_runs(result, method) if run.work is not None)
    return (
        None if within_s is None else f"\u00b1\u00a0{scaled(METRICS['work_lost_s'], within_s)}\u00a0in\u00a0a\u00a0run"
    )


def _worst(result: Result, method: str) -> dict[str, str]:
    """Of its runs, where the published figures beside them have a worst run's, too."""
    published = published_for(result)
    keys = {key for row in published.rows for key in row.worst} if published else set()
    found = {key: values(counted_runs(result, method), key) for key in keys}
    return {key: _worst_text(METRICS[key], max(of_runs)) for key, of_runs in found.items() if len(of_runs) > 1}


def _worst_text(metric: Metric, figure: float) -> str:
    return f"worst\u00a0{scaled(metric, figure)}"


def _columns(result: Result) -> tuple[Metric, ...]:
    """Those that a result of its kind can have; a rare one only where a method has it."""
    asked = (each for each in shown_in("page") if not (each.stopped and facts.is_replay(result)))
    names = method_names(result)
    return tuple(each for each in asked if not each.rare or any(summary_of(result, name, each.key) for name in names))


def _cell(metric: Metric, summary: MetricSummary | None, change: Change | None) -> Cell:
    if summary is None:
        return Cell(metric.heading, DASH, "" if metric.compared else None)
    known = change if metric.compared else None
    return Cell(
        heading=metric.heading,
        value=scaled(metric, summary.median),
        effect=effect_percent(summary.vs_baseline) or "" if metric.compared else None,
        tone="unjudged" if known is None else known.word,
        meaning="" if known is None or known.word == "unjudged" else known.words,
        interval=interval_text(metric, summary.ci95) if summary.n > 1 else None,
        p=None if known is None else change_details(known),
    )


def _coverage(result: Result, method: str) -> str:
    """``98 %``, of the rows' intervals."""
    total = summary_of(result, method, "total_time_s")
    if total is None or total.coverage is None or total.n < 2:
        return ""
    return f"{'range, ' if total.n < FEWEST else ''}{share_text(total.coverage)}"


def _verified(runs: tuple[Run, ...]) -> tuple[Mark, str]:
    """A mark and its words for a method's completed runs."""
    good = sum(run.verified is True for run in runs)
    if any(run.verified is False for run in runs):
        return "no", f"{sum(run.verified is False for run in runs)} of {len(runs)} wrong"
    if not runs or not good:
        return "unknown", "not checked" if runs else DASH
    return ("yes", f"{good} of {len(runs)}") if good == len(runs) else ("partly", f"{good} of {len(runs)}")


def _state(runs: list[Run]) -> str:
    """``2 of 5 failed: the reason``, for every status but completed."""
    if not runs:
        return "not run"
    counted = [run for run in runs if not run.warmup] or runs
    parts = []
    for status, count in Counter(run.status for run in counted if run.status != "completed").items():
        reasons = dict.fromkeys(run.reason or run.error or "no reason given" for run in counted if run.status == status)
        share = status if count == len(counted) else f"{count} of {len(counted)} {status}"
        parts.append(f"{share}: {'; '.join(reasons)}")
    if not parts and all(run.warmup for run in runs):
        return "only its warm-up has run"
    return ". ".join(parts)


def _row(result: Result, name: str, columns: tuple[Metric, ...], changes: Changes, best: str | None) -> Row:
    counted = counted_runs(result, name)
    mark, words = _verified(counted)
    method = facts.declared_methods(result).get(name, {})
    own = [run for run in result.runs if run.method == name]
    cells = _cells(result, name, columns, changes)
    doubts, fallen = doubts_about(result, name), fallbacks_of(result, name)
    return Row(
        method=name,
        how=facts.method_text(method) if method else "",
        baseline=bool(method.get("baseline")),
        best=name == best,
        blank=not any(cell.known for cell in cells),
        cells=cells,
        n=str(len(counted)),
        coverage=_coverage(result, name),
        verified=mark,
        verified_text=words,
        state=_state(own),
        trouble=any(run.status in ("failed", "timeout") for run in own),
        fallbacks=tuple(each.text for each in fallen),
        fallen=worst(fallen),
        warnings=plural(doubts, "warning") if doubts else "",
    )


def _published_cells(row: PublishedRow, base: PublishedRow, columns: tuple[Metric, ...]) -> tuple[Cell, ...]:
    cells = []
    for column in columns:
        value, reference, worst = (each.get(column.key) for each in (row.figures, base.figures, row.worst))
        effect = percent((value / reference - 1) * 100) if value and reference and row is not base else ""
        said = row.said.get(column.key) if worst is None else _worst_text(column, worst)
        cells.append(Cell(column.heading, scaled(column, value), effect if column.compared else None, interval=said))
    return tuple(cells)


def _published(result: Result, columns: tuple[Metric, ...]) -> PublishedRows | None:
    published = published_for(result)
    if published is None:
        return None
    first = published.rows[0]
    rows = tuple(
        (row.method, row.how, _published_cells(row, first, columns), DASH if row.n is None else str(row.n))
        for row in published.rows
    )
    return PublishedRows(f"For reference, {published.what} (published by others, on other hardware)", rows)


def _notes(result: Result) -> tuple[str, ...]:
    notes = [
        "Medians of the counted runs; the change is against the baseline, the small line is the median's interval, and how surely "
        f"it holds stands beside n. {NOTE.format(smallest=share_text(smallest_effect(result)))}"
    ]
    notes += [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in conditions(result)]
    if METRICS["work_lost_s"] in _columns(result):
        notes.append(
            "Work lost in one run may be off by as much as stands behind \u00b1: two standard errors, as the guest's pace before "
            "the migration is not known exactly."
        )
    if facts.is_replay(result):
        notes.append("A stream was replayed, not a live guest: every method did equal work and there is no downtime.")
    return tuple(notes)


def verdict(result: Result, changes: Changes) -> Verdict:
    """The verdict on one result; ``changes``: against its baseline, of all metrics."""
    columns, best = _columns(result), fastest(result)
    total = changes["total_time_s"].get(best) if best else None
    winner = best if total and total.word == "better" else None
    return Verdict(
        headings=tuple(column.heading for column in columns),
        rows=tuple(_row(result, name, columns, changes, winner) for name in method_names(result)),
        alerts=alerts(result),
        sentences=sentences(result, best, changes),
        notes=_notes(result),
        published=_published(result, columns),
        figures=len(columns),
        span=len(columns) + 3,
    )
