"""What stands in a cell of the tables of methods: a figure, its change against the baseline, and what is known about both.

Result -> dataclasses of text. Knows no HTML, and no row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.results.metrics import METRICS, Metric, Place, shown_in
from harness.results.result import MetricSummary, Result
from harness.results.verdicts import Change, Word
from harness.results.work import lost_within_s
from reports import facts
from reports.effects import (
    Changes,
    counted_runs,
    cpu_per_gib,
    cpu_per_gib_metric,
    method_names,
    summary_of,
    values,
)
from reports.numbers import DASH, change_details, effect_percent, interval_text, percent, scaled
from reports.run.published import PublishedRow, published_for


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


def columns_of(result: Result, place: Place) -> tuple[Metric, ...]:
    """Of ``place``, those that a result of its kind can have; a rare one only where a method has it."""
    asked = (each for each in shown_in(place) if not (each.stopped and facts.is_replay(result)))
    names = method_names(result)
    return tuple(each for each in asked if not each.rare or any(summary_of(result, name, each.key) for name in names))


def cells_of(result: Result, method: str, columns: tuple[Metric, ...], changes: Changes) -> tuple[Cell, ...]:
    """One method's figures, in the order of ``columns``."""
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


def published_cells(row: PublishedRow, base: PublishedRow, columns: tuple[Metric, ...]) -> tuple[Cell, ...]:
    """The same of figures by others, whose change is against their ``base``."""
    cells = []
    for column in columns:
        value, reference, worst = (each.get(column.key) for each in (row.figures, base.figures, row.worst))
        effect = percent((value / reference - 1) * 100) if value and reference and row is not base else ""
        said = row.said.get(column.key) if worst is None else _worst_text(column, worst)
        cells.append(Cell(column.heading, scaled(column, value), effect if column.compared else None, interval=said))
    return tuple(cells)
