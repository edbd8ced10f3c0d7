"""The first screen's data: a row per method with its figures and effects, with the sentences that they add up to.

Result -> dataclasses of text. Knows no HTML. Methods without a figure keep their row, with the reason in it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from harness.results.metrics import METRICS, Metric
from harness.results.result import Result, Run, conditions
from harness.results.verdicts import NOTE, share_text
from reports import facts
from reports.effects import Changes, counted_methods, counted_runs, method_names, smallest_effect, summary_of
from reports.intervals import held_text
from reports.numbers import DASH, plural
from reports.run.cells import Cell, cells_of, columns_of, published_cells
from reports.run.details import doubts_about
from reports.run.fallbacks import Share, alerts, fallbacks_of, worst
from reports.run.published import published_for
from reports.run.sentences import fastest, sentences

Mark = Literal["yes", "no", "partly", "unknown"]


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
class Further:
    """Figures that have no room in the main table: of each method that has any, its cells. ``title`` names them.

    ``folded``: it holds nothing that only some methods have.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    folded: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The tables, the sentences above them and the notes below. ``alerts``: what to know before any figure."""

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    further: Further
    alerts: tuple[str, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    published: PublishedRows | None
    figures: int
    span: int


def _coverage(result: Result, method: str) -> str:
    """``98 %``, of the rows' intervals."""
    total = summary_of(result, method, "total_time_s")
    return "" if total is None else held_text(total.n)


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
    cells = cells_of(result, name, columns, changes)
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


def _published(result: Result, columns: tuple[Metric, ...]) -> PublishedRows | None:
    published = published_for(result)
    if published is None:
        return None
    first = published.rows[0]
    rows = tuple(
        (row.method, row.how, published_cells(row, first, columns), DASH if row.n is None else str(row.n))
        for row in published.rows
    )
    return PublishedRows(f"For reference, {published.what} (published by others, on other hardware)", rows)


def _further(result: Result, changes: Changes) -> Further:
    columns = columns_of(result, "further")
    return Further(
        f"Further medians: {'; '.join(column.words for column in columns)}",
        tuple(column.heading for column in columns),
        tuple((name, cells_of(result, name, columns, changes)) for name in counted_methods(result)),
        folded=not any(column.rare for column in columns),
    )


def _notes(result: Result) -> tuple[str, ...]:
    notes = [
        "Medians of the counted runs; the change is against the baseline, the small line is the median's interval, and how surely "
        f"it holds stands beside n. {NOTE.format(smallest=share_text(smallest_effect(result)))}"
    ]
    notes += [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in conditions(result)]
    if METRICS["work_lost_s"] in columns_of(result, "page"):
        notes.append(
            "Work lost in one run may be off by as much as stands behind \u00b1: two standard errors, as the guest's pace before "
            "the migration is not known exactly."
        )
    if facts.is_replay(result):
        notes.append("A stream was replayed, not a live guest: every method did equal work and there is no downtime.")
    return tuple(notes)


def verdict(result: Result, changes: Changes) -> Verdict:
    """The verdict on one result; ``changes``: against its baseline, of all metrics."""
    columns, best = columns_of(result, "page"), fastest(result)
    total = changes["total_time_s"].get(best) if best else None
    winner = best if total and total.word == "better" else None
    return Verdict(
        headings=tuple(column.heading for column in columns),
        rows=tuple(_row(result, name, columns, changes, winner) for name in method_names(result)),
        further=_further(result, changes),
        alerts=alerts(result),
        sentences=sentences(result, best, changes),
        notes=_notes(result),
        published=_published(result, columns),
        figures=len(columns),
        span=len(columns) + 3,
    )
