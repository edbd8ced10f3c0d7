"""What a site's index and its histories say, as data. No HTML, no files, no charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.results.changes import LEAST_NIGHTS, LEAST_SHIFT, SURE
from reports.intervals import held_text
from reports.numbers import interval_text, percent, plural, scaled
from reports.site.history import Experiment, Series, Shift, newest_of_each, shift_text
from reports.site.rows import Row
from reports.table import Table

HOW = (
    "A level is three results or more. Least squares on logarithms find the levels; one stays apart from the one before where a "
    f"t-test, multiplied by the square of the shorter level's results, gives p below {SURE:g}, where four of five results "
    "(of fewer than five all) lie beyond the middle of the two levels' medians, and where these differ by "
    f"{LEAST_SHIFT * 100:g}\u00a0% or more. Below {LEAST_NIGHTS} results nothing is said. One odd result is no level, nor are two "
    "near each other."
)
_ORDER = ("failed", "doubted", "good")
_MOST_SHIFTS = 60


@dataclass(frozen=True, slots=True)
class ShiftView:
    """A change in a list. ``where``: the link and machine."""

    word: str
    name: str
    text: str
    where: str
    href: str


@dataclass(frozen=True, slots=True)
class IndexView:
    """Rows with the addresses of their pages, as seen from the index."""

    summary: str
    problems: tuple[str, ...]
    failed: tuple[tuple[Row, str], ...]
    worse: tuple[ShiftView, ...]
    better: tuple[ShiftView, ...]
    no_regressions: str
    newest: tuple[tuple[Row, str, str, str], ...]
    filters: tuple[tuple[str, str, tuple[str, ...]], ...]
    rows: tuple[tuple[Row, str, str], ...]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One experiment. ``shifts``: word, text, the name of its table in a link, and how sure it is."""

    name: str
    facts: tuple[tuple[str, str], ...]
    shifts: tuple[tuple[str, str, str, str], ...]
    unchanged: str
    how: str
    tables: tuple[tuple[str, Table], ...]


def index(
    found: Sequence[Experiment],
    rows: Sequence[Row],
    problems: Sequence[str],
    page_of: Callable[[Row], str],
    campaign_of: Callable[[Row], str],
) -> IndexView:
    """``rows``: newest first; ``campaign_of``: empty where a run has but one result."""
    newest = sorted(newest_of_each(rows), key=lambda row: _ORDER.index(row.state))
    counted = {each.key: plural(len(each.rows), "result") for each in found}
    shifts = [(e, s, shift) for e in found for s in e.series for shift in s.shifts]
    shifts.sort(key=lambda each: each[2].row.started, reverse=True)
    failed = [row for row in newest if row.state == "failed"]
    runs = len({row.run_id for row in rows})
    counts = [
        f"{plural(len(rows), 'result')} of {plural(runs, 'run')}",
        *(f"newest {row.started[:10]}" for row in rows[:1]),
    ]
    if failed:
        counts.append(f"{len(failed)} of the newest {len(newest)} with failures")
    long_enough = any(len(s.points) >= LEAST_NIGHTS for e in found for s in e.series)
    return IndexView(
        summary=", ".join(counts),
        problems=tuple(problems),
        failed=tuple((row, page_of(row)) for row in failed),
        worse=tuple(_shift(*each) for each in shifts if each[2].worse)[:_MOST_SHIFTS],
        better=tuple(_shift(*each) for each in shifts if not each[2].worse)[:_MOST_SHIFTS],
        no_regressions="None was found."
        if long_enough
        else f"Nothing is said with fewer than {LEAST_NIGHTS} results of a kind.",
        newest=tuple((row, page_of(row), f"history/{row.experiment}.html", counted[row.experiment]) for row in newest),
        filters=tuple(_filters(rows)),
        rows=tuple((row, page_of(row), campaign_of(row)) for row in rows),
    )


def _filters(rows: Sequence[Row]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Those that leave a choice."""
    every = (
        ("scenario", "Scenario", {row.name for row in rows}),
        ("state", "State", {str(row.state) for row in rows}),
        ("host", "Machine", {row.host for row in rows} - {""}),
        ("tag", "Tag", {tag for row in rows for tag in row.tags}),
    )
    return [(name, title, tuple(sorted(values))) for name, title, values in every if values]


def _word(shift: Shift) -> str:
    return "worse" if shift.worse else "better"


def _shift(experiment: Experiment, series: Series, shift: Shift) -> ShiftView:
    newest = experiment.newest
    return ShiftView(
        _word(shift),
        newest.name,
        shift_text(series, shift),
        f"({newest.link}; {newest.host or newest.machine})",
        f"history/{experiment.key}.html#{series.anchor}",
    )


def history(experiment: Experiment) -> HistoryView:
    """Everything on an experiment's page but its charts."""
    newest, oldest = experiment.newest, experiment.rows[-1]
    shifts = [(series, shift) for series in experiment.series for shift in series.shifts]
    shifts.sort(key=lambda each: (not each[1].worse, each[1].change.p_value))
    told = (
        ("Guest", newest.guest),
        ("Link", newest.link),
        ("Machine", f"{newest.machine} ({newest.host})" if newest.host else newest.machine),
        ("Results", f"{len(experiment.rows)}, {oldest.started[:10]} to {newest.started[:10]}"),
    )
    return HistoryView(
        name=newest.name,
        facts=told,
        shifts=tuple(
            (_word(each), shift_text(s, each), s.anchor, f"p = {each.change.p_value:.2g}") for s, each in shifts
        ),
        unchanged="No method went over to another level."
        if len(experiment.rows) >= LEAST_NIGHTS
        else f"Nothing is said with fewer than {LEAST_NIGHTS} results.",
        how=HOW,
        tables=tuple((series.anchor, _table(series)) for series in experiment.series),
    )


def _table(series: Series) -> Table:
    begins = {shift.change.at: shift for shift in series.shifts}
    metric = series.metric
    rows = [
        (
            row.started[:16].replace("T", " "),
            scaled(metric, figure.median),
            interval_text(metric, (figure.low, figure.high)) or "",
            f"{figure.n} ({held_text(figure.n)})" if figure.n > 1 else "1",
            f"{_word(begins[at])}: {percent(begins[at].change.shift * 100)}" if at in begins else "",
            row.run_id,
            " ".join([row.version, row.commit]).strip(),
        )
        for at, (row, figure) in enumerate(series.points)
    ]
    return Table(
        f"{series.method}: {metric.heading}",
        ("Began (UTC)", "Median", "Interval", "n", "Change", "Run", "Version"),
        tuple(rows[::-1]),
        words=(0, 4, 5, 6),
        marks=tuple("differs" if at in begins else "" for at in range(len(rows)))[::-1],
        folded=True,
    )
