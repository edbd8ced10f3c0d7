"""Altair charts of what ``auto`` chose over time in one run, and of the estimates that it chose by.

Siblings of ``runs``, with the same rules.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import altair as alt

from reports.drawing.theme import colour_scale, shape_scale
from reports.run.charts.runs import Datum, Spec, band_height, data, texts
from reports.run.choices import Decision, Followed

__all__ = ["chosen", "estimates"]

_LOG_MARGIN = 1.3
_SERIES = (
    ("predicted", "predicted"),
    ("link", "link (B)"),
    ("compress", "compression (C)"),
    ("decompress", "decompression (D)"),
)


def _times(shown: Followed) -> list[tuple[Decision, float]]:
    """Each decision with the time until which it held."""
    ends = [after.t_s for _, after in pairwise(shown.decisions)]
    return list(zip(shown.decisions, [*ends, shown.end_s], strict=True))


def _time_axis(shown: Followed, field: str) -> alt.X:
    scale = alt.Scale(domain=[0, max(shown.end_s, 1e-3)], nice=False)
    return alt.X(f"{field}:Q", title="Time since the first batch (s)", scale=scale)


def chosen(shown: Followed) -> Spec:
    """A bar per stretch with one choice, in a band per candidate in the order of their first use; a mark at each decision."""
    rows: list[Datum] = [
        {"choice": decision.choice, "s": round(decision.t_s, 4), "until": round(until_s, 4)}
        for decision, until_s in _times(shown)
    ]
    names = texts(rows, "choice")
    look: dict[str, Any] = {
        "x": _time_axis(shown, "s"),
        "y": alt.Y("choice:N", title=None, sort=names, scale=alt.Scale(padding=0.35), axis=alt.Axis(grid=True)),
        "color": alt.Color("choice:N", scale=colour_scale(names), legend=None),
        "tooltip": [
            alt.Tooltip("choice:N"),
            alt.Tooltip("s:Q", title="from s", format=".3f"),
            alt.Tooltip("until:Q", title="until s", format=".3f"),
        ],
    }
    bars = alt.Chart(data(rows)).mark_bar().encode(**look, x2="until:Q")
    marks = alt.Chart(data(rows)).mark_point(filled=True, opacity=1, size=55, stroke="var(--paper, #fff)")
    return alt.layer(bars, marks.encode(**look)).properties(height=band_height(names, 34)).to_dict()


def _estimate_rows(shown: Followed) -> list[Datum]:
    """A point per decision and series, and one where it ended. What a series did not know parts its line: ``stretch``."""
    rows: list[Datum] = []
    for field, label in _SERIES:
        stretch = 0
        for decision, until_s in _times(shown):
            value = getattr(decision, f"{field}_mb_per_s")
            if value is None or value <= 0:
                stretch += 1
                continue
            row = {"series": label, "choice": decision.choice, "mb_s": float(f"{value:.4g}"), "stretch": stretch}
            rows += [
                {**row, "s": round(decision.t_s, 4), "end": False},
                {**row, "s": round(until_s, 4), "end": True},
            ]
    return rows


def estimates(shown: Followed) -> Spec | None:
    """What each choice was made of, in MB/s on a logarithmic axis: a point at each decision, held until the next."""
    rows = _estimate_rows(shown)
    if not rows:
        return None
    known = texts(rows, "series")
    values = [row["mb_s"] for row in rows]
    scale = alt.Scale(type="log", nice=False, domain=[min(values) / _LOG_MARGIN, max(values) * _LOG_MARGIN])
    look: dict[str, Any] = {
        "x": _time_axis(shown, "s"),
        "y": alt.Y("mb_s:Q", title="MB/s", scale=scale),
        "color": alt.Color("series:N", scale=colour_scale(known), legend=alt.Legend(title=None)),
    }
    points = alt.Chart(data([row for row in rows if not row["end"]])).mark_point(filled=True, opacity=1, size=60)
    line = alt.Chart(data(rows)).mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.75)
    tooltip = [
        alt.Tooltip("series:N", title="estimate"),
        alt.Tooltip("mb_s:Q", title="MB/s", format=",.4~g"),
        alt.Tooltip("choice:N"),
        alt.Tooltip("s:Q", format=".3f"),
    ]
    shape = alt.Shape("series:N", scale=shape_scale(known), legend=alt.Legend(title=None))
    return (
        alt.layer(
            line.encode(**look, detail="stretch:N"),
            points.encode(**look, shape=shape, tooltip=tooltip),
        )
        .properties(height=300)
        .to_dict()
    )
