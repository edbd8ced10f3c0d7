"""Rows -> each experiment's history: a series per method and metric, and where it went over to another level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from harness.results.changes import Change, changes
from harness.results.metrics import METRICS, Metric
from reports.numbers import percent, scaled
from reports.site.rows import Figure, Row


@dataclass(frozen=True, slots=True)
class Shift:
    """A change with the night that it began with."""

    change: Change
    row: Row
    worse: bool


@dataclass(frozen=True, slots=True)
class Series:
    """One method's figures of one metric, oldest first."""

    metric: Metric
    method: str
    points: tuple[tuple[Row, Figure], ...]
    shifts: tuple[Shift, ...]

    @property
    def anchor(self) -> str:
        """Its name in a link."""
        return f"{self.metric.key}-{self.method}"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Results that may stand in one line. ``rows``: newest first."""

    key: str
    rows: tuple[Row, ...]
    series: tuple[Series, ...]

    @property
    def newest(self) -> Row:
        """The one that its verdict is of."""
        return self.rows[0]


def experiments(rows: Sequence[Row]) -> tuple[Experiment, ...]:
    """In the order of their newest result; ``rows``: newest first."""
    by_key: dict[str, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.experiment, []).append(row)
    return tuple(Experiment(key, tuple(each), tuple(_series(each[::-1]))) for key, each in by_key.items())


def newest_of_each(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Of each experiment and set of methods: a matrix has cells of one experiment that were run apart. ``rows``: newest first."""
    found: dict[tuple[str, tuple[str, ...]], Row] = {}
    for row in rows:
        found.setdefault((row.experiment, tuple(sorted(row.methods))), row)
    return tuple(found.values())


def _series(rows: Sequence[Row]) -> Iterator[Series]:
    """A method that was set otherwise in between begins anew."""
    for key in dict.fromkeys(key for row in rows for key in row.figures):
        metric = METRICS[key]
        for method in dict.fromkeys(name for row in rows for name in row.figures.get(key, ())):
            now = next(row.methods.get(method) for row in reversed(rows) if method in row.figures.get(key, ()))
            points = [
                (row, row.figures[key][method])
                for row in rows
                if method in row.figures.get(key, ()) and row.methods.get(method) == now
            ]
            found = changes([figure.median for _, figure in points])
            shifts = [Shift(each, points[each.at][0], (each.shift > 0) != metric.more_is_better) for each in found]
            yield Series(metric, method, tuple(points), tuple(shifts))


def shift_text(series: Series, shift: Shift) -> str:
    """``zstd-1: total time +5.2 % since 2026-11-21 (1 170 to 1 231 ms)``."""
    cuts = [0, *(each.change.at for each in series.shifts), len(series.points)]
    index = cuts.index(shift.change.at, 1)
    ends = (cuts[index - 1 : index + 1], cuts[index : index + 2])
    levels = [median(figure.median for _, figure in series.points[begin:end]) for begin, end in ends]
    values = " to ".join(scaled(series.metric, level) for level in levels)
    what = f"{series.metric.words} {percent(shift.change.shift * 100)} since {shift.row.started[:10]}"
    return f"{series.method}: {what} ({values}\u00a0{series.metric.unit.shown})"
