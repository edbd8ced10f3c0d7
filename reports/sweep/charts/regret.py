"""The section of an index on ``auto`` beside every fixed choice: a chart, sentences, a table. No HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.theme import colour_scale, shape_scale
from reports.numbers import DASH, amount, percent, plural
from reports.run.charts import build as charts
from reports.run.charts.runs import Datum, Spec, band_height, data, texts
from reports.sweep.regret import Regret, regrets

__all__ = ["HEADINGS", "Section", "regret_percent", "section"]

HEADINGS = ("auto (ms)", "Best fixed (ms)", "Which", "Regret", "95\u00a0% interval", "Against none", "n")
_AUTO = "auto"
_MARGIN = 1.06


@dataclass(frozen=True, slots=True)
class Section:
    """Rows begin with the cell."""

    sentences: tuple[str, ...]
    chart: charts.Chart
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def section(results: Sequence[Result]) -> Section | None:
    """None where no result has ``auto`` beside a fixed choice."""
    rows = regrets(results)
    if not rows:
        return None
    chart = charts.finished(
        "regret",
        "auto beside every fixed choice",
        "Median total time as a share of the best fixed choice's in the same cell, on a logarithmic axis. Large marks are auto, "
        "lines their 95\u00a0% intervals. Further left is better.",
        _drawn(rows),
    )
    return Section(_sentences(rows), chart, tuple((row.cell, _cells(row)) for row in rows))


def regret_percent(row: Regret) -> tuple[str, str]:
    """The regret and its interval."""
    if row.interval is None:
        return percent(row.regret * 100), DASH
    low, high = (percent(bound * 100) for bound in row.interval)
    return percent(row.regret * 100), f"{low} to {high}"


def _cells(row: Regret) -> tuple[str, ...]:
    against_none = DASH if row.against_none is None else percent(row.against_none * 100)
    return amount(row.auto_ms), amount(row.best_ms), row.best, *regret_percent(row), against_none, str(row.n)


def _sentences(rows: Sequence[Regret]) -> tuple[str, ...]:
    worst = max(rows, key=lambda row: row.regret)
    middle = median(row.regret for row in rows)
    beside_none = [(row.against_none, row.cell) for row in rows if row.against_none is not None]
    first = (
        f"Total time of auto against the best fixed choice: {percent(worst.regret * 100)} at worst ({worst.cell}), and "
        f"{percent(middle * 100)} in the median of {plural(len(rows), 'cell')}."
    )
    if beside_none:
        best, least = min(beside_none), max(beside_none)
        first += (
            f" Against no compression: {percent(best[0] * 100)} ({best[1]}) to {percent(least[0] * 100)} ({least[1]})."
        )
    return (
        first,
        "Which choice was best is known only afterwards, and the fastest of several is by chance a little faster than it will be "
        "again: a regret whose interval reaches zero shows nothing.",
    )


def _drawn(rows: Sequence[Regret]) -> Spec:
    fixed: list[Datum] = [
        {"cell": row.cell, "series": name, "share": round(ms / row.best_ms, 4), "ms": round(ms, 1)}
        for row in rows
        for name, ms in row.fixed_ms.items()
    ]
    auto: list[Datum] = [
        {
            "cell": row.cell,
            "series": _AUTO,
            "share": round(1 + row.regret, 4),
            "ms": round(row.auto_ms, 1),
            **({} if row.interval is None else {"low": 1 + row.interval[0], "high": 1 + row.interval[1]}),
        }
        for row in rows
    ]
    names = [_AUTO, *texts(fixed, "series")]
    shares = [row["share"] for row in [*fixed, *auto]] + [
        row[end] for row in auto for end in ("low", "high") if end in row
    ]
    scale = alt.Scale(type="log", nice=False, domain=[min(shares) / _MARGIN, max(shares) * _MARGIN])
    x = alt.X("share:Q", title="Time, best fixed = 1", scale=scale, axis=alt.Axis(format="~g"))
    look: dict[str, Any] = {
        "y": alt.Y("cell:N", title=None, sort=[row.cell for row in rows], scale=alt.Scale(padding=0.5)),
        "color": alt.Color("series:N", scale=colour_scale(names), legend=alt.Legend(title=None)),
    }
    known = [
        alt.Tooltip("cell:N"),
        alt.Tooltip("series:N", title="method"),
        alt.Tooltip("ms:Q", title="total ms", format=",.0f"),
        alt.Tooltip("share:Q", title="of the best fixed", format=".3f"),
    ]
    shape = alt.Shape("series:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    one = (
        alt.Chart(data([{"one": 1}]))
        .mark_rule(strokeDash=[4, 3], color="var(--muted, #55606e)")
        .encode(x=alt.X("one:Q", scale=scale))
    )
    small = alt.Chart(data(fixed)).mark_point(filled=True, opacity=0.8, size=55)
    large = alt.Chart(data(auto)).mark_point(
        filled=True, opacity=1, size=150, stroke="var(--paper, #fff)", strokeWidth=1.2
    )
    lines = alt.Chart(data([row for row in auto if "low" in row])).mark_rule(strokeWidth=2)
    return (
        alt.layer(
            one,
            small.encode(x=x, shape=shape, tooltip=known, **look),
            lines.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", **look),
            large.encode(x=x, shape=shape, tooltip=known, **look),
        )
        .properties(height=band_height([row.cell for row in rows], 36))
        .to_dict()
    )
