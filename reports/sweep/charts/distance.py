"""The section of an index on links of several lengths: a group's chart, its sentences, and its table. No HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.theme import colour_scale, shape_scale, value_scale
from reports.run.charts import build as charts
from reports.run.charts.runs import Datum, Spec, data
from reports.sweep.distance import Group, groups, headings, rows, sentences

__all__ = ["Section", "sections"]

_LOGARITHMIC = " The axis of round trips is logarithmic."


@dataclass(frozen=True, slots=True)
class Section:
    """Rows begin with the round trip."""

    label: str
    sentences: tuple[str, ...]
    chart: charts.Chart
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def sections(results: Sequence[Result]) -> tuple[Section, ...]:
    """One for each group that the results have."""
    return tuple(_section(number, group) for number, group in enumerate(groups(results), 1) if group.times)


def _section(number: int, group: Group) -> Section:
    chart = charts.finished(
        f"distance-{number}",
        f"Total time by round trip: {group.label}",
        "Median total time; upright lines are 95\u00a0% intervals. Lower is better; a level line is a method that distance does "
        f"not slow.{_LOGARITHMIC if _far(group) else ''}",
        _drawn(group),
    )
    return Section(group.label, sentences(group), chart, headings(group), rows(group))


def _far(group: Group) -> bool:
    """Whether no link is without a length: round trips of 1 and 200 ms share an axis only by their logarithms."""
    return group.round_trips_ms[0] > 0


def _drawn(group: Group) -> Spec:
    points: list[Datum] = [
        {
            "method": name,
            "round_trip": ms,
            "ms": round(summary.median * 1e3, 1),
            "low": round(summary.ci95[0] * 1e3, 1),
            "high": round(summary.ci95[1] * 1e3, 1),
        }
        for name, found in group.times.items()
        for ms, summary in found.items()
    ]
    names = list(group.times)
    x = alt.X(
        "round_trip:Q",
        title="Round trip (ms)",
        scale=alt.Scale(type="log", nice=False, padding=18) if _far(group) else alt.Scale(zero=True, padding=18),
        axis=alt.Axis(values=list(group.round_trips_ms), format="~g", labelOverlap=False),
    )
    scale = value_scale([row[end] for row in points for end in ("low", "high")])
    look: dict[str, Any] = {
        "x": x,
        "color": alt.Color("method:N", scale=colour_scale(names, group.baseline), legend=alt.Legend(title=None)),
    }
    y = alt.Y("ms:Q", title="Total time (ms)", scale=scale)
    shape = alt.Shape("method:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    known = [
        alt.Tooltip("method:N"),
        alt.Tooltip("round_trip:Q", title="round trip (ms)"),
        alt.Tooltip("ms:Q", title="total ms", format=",.0f"),
    ]
    base = alt.Chart(data(points))
    return (
        alt.layer(
            base.mark_line(strokeWidth=1.5, opacity=0.6).encode(**look, y=y),
            base.mark_rule(strokeWidth=2, opacity=0.7).encode(**look, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
            base.mark_point(filled=True, opacity=1, size=90).encode(**look, y=y, shape=shape, tooltip=known),
        )
        .properties(height=330)
        .to_dict()
    )
