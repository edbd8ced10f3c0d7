"""A group's total times over the length of its links, drawn."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.drawing.chart import Chart, finished
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, tooltips
from reports.drawing.theme import value_scale
from reports.intervals import interval_sentence
from reports.sweep.distance import Group


def chart(number: int, group: Group) -> Chart:
    """``number``: of the group on its page."""
    counts = [time.n for found in group.times.values() for time in found.values()]
    logarithmic = " The axis of round trips is logarithmic." if _far(group) else ""
    return finished(
        f"distance-{number}",
        f"Total time by round trip: {group.label}",
        f"Median total time. {interval_sentence(counts, 'Upright lines')} Lower is better; a level line is a method that distance "
        f"does not slow.{logarithmic}",
        _drawn(group),
    )


def _far(group: Group) -> bool:
    """Whether no link is without a length: round trips of 1 and 200 ms share an axis only by their logarithms."""
    return group.round_trips_ms[0] > 0


def _drawn(group: Group) -> Spec:
    rows: list[Datum] = [
        {"method": name, "round_trip": ms, "ms": _ms(time.median), "low": _ms(time.ci95[0]), "high": _ms(time.ci95[1])}
        for name, found in group.times.items()
        for ms, time in found.items()
    ]
    names = list(group.times)
    scale = value_scale([row[end] for row in rows for end in ("low", "high")])
    look: dict[str, Any] = {
        "x": alt.X(
            "round_trip:Q",
            title="Round trip (ms)",
            scale=alt.Scale(type="log", nice=False, padding=18) if _far(group) else alt.Scale(zero=True, padding=18),
            axis=alt.Axis(values=list(group.round_trips_ms), format="~g", labelOverlap=False),
        ),
        "color": colour("method", names, group.baseline),
    }
    y = alt.Y("ms:Q", title="Total time (ms)", scale=scale)
    known = tooltips(("method:N",), ("round_trip:Q", "round trip (ms)"), ("ms:Q", "total ms", ",.0f"))
    intervals = data(rows).mark_rule(strokeWidth=2, opacity=0.7)
    return drawn(
        330,
        data(rows).mark_line(strokeWidth=1.5, opacity=0.6).encode(**look, y=y),
        intervals.encode(**look, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        points(rows, 90).encode(**look, y=y, shape=shape("method", names), tooltip=known),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)
