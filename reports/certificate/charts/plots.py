"""Altair charts of a certificate's rows as Vega-Lite specs without width or theme: what is drawn against what.

Siblings of ``plots``, with the same rules. Rows are taken as they come: who calls has left out those that lack a field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from harness.units import format_bytes
from reports.drawing.theme import NEUTRAL, colour_scale, shape_scale, value_scale
from reports.numbers import DASH, amount
from reports.run.charts.runs import Datum, Spec, band_height, data, texts

__all__ = ["figure_text", "labelled_bars", "over_time", "surface", "tail"]

_NAMED_PERCENTILES = (50, 95, 99, 99.9)
_TAIL_TICKS = (2, 10, 100, 1000, 10_000, 100_000)  # one in so many is slower: 50 %, 90 %, 99 % and so on
_MOST_FIGURE = 1e15
_INK, _PAPER, _ACCENT = "var(--ink, #1b2430)", "var(--paper, #fff)", "var(--c1, #0b63c4)"
_SIZE = (
    "datum.value >= 1048576 ? datum.value / 1048576 + ' MiB' : "
    "datum.value >= 1024 ? datum.value / 1024 + ' KiB' : datum.value + ' B'"
)


def figure_text(value: object) -> str:
    """One raw figure for a reader: four significant digits, or whole above that; a dash for what is missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float) or abs(value) >= _MOST_FIGURE:
        return str(value)
    if isinstance(value, int):
        return amount(value)
    digits = 0 if not value else max(0, 3 - math.floor(math.log10(abs(value))))
    text = amount(value, min(digits, 9))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _drawn(height: int, *layers: alt.Chart) -> Spec:
    return alt.layer(*layers).properties(height=height).to_dict()


def _size_axis(rows: Sequence[Datum]) -> alt.X:
    sizes = sorted({row["unit_bytes"] for row in rows})
    axis = alt.Axis(values=sizes, labelExpr=_SIZE, grid=True)
    return alt.X(
        "unit_bytes:Q",
        title="Unit handed over at once",
        axis=axis,
        scale=alt.Scale(type="log", base=2, nice=False, domain=[sizes[0] / 1.15, sizes[-1] * 1.15]),
    )


def surface(rows: Sequence[Datum], knees: Sequence[Datum]) -> Spec:
    """MB/s over unit size: a colour per number of threads, a ring at each knee."""
    threads = sorted({row["threads"] for row in rows})
    drawn = [{**row, "series": figure_text(row["threads"])} for row in rows]
    look: dict[str, Any] = {
        "x": _size_axis(rows),
        "y": alt.Y("mb_per_s:Q", title="Uncompressed bytes (MB/s)", scale=value_scale([r["mb_per_s"] for r in rows])),
    }
    colour = alt.Color("series:N", title="Threads", scale=colour_scale([figure_text(each) for each in threads]))
    known = [alt.Tooltip(f"{field}:Q") for field in ("unit_bytes", "threads", "mb_per_s")]
    base = alt.Chart(data(drawn))
    layers: list[Any] = [
        base.mark_line(strokeWidth=1.8).encode(**look, color=colour),
        base.mark_point(filled=True, opacity=1, size=45).encode(**look, color=colour, tooltip=known),
    ]
    if knees:
        ring = alt.Chart(data([{**row, "label": "knee"} for row in knees]))
        layers += [
            ring.mark_point(filled=False, size=320, strokeWidth=2.5, color=_INK).encode(**look),
            ring.mark_text(dy=-20, fontWeight=700, stroke=_PAPER, strokeWidth=4).encode(**look, text="label:N"),
            ring.mark_text(dy=-20, fontWeight=700).encode(**look, text="label:N"),
        ]
    return _drawn(330, *layers)


def tail(rows: Sequence[Datum]) -> Spec:
    """The percentile axis is stretched towards its end: every decade of the tail gets the same room."""
    drawn = [
        {
            **row,
            "series": f"{row.get('direction')}, {format_bytes(row['unit_bytes'])}",
            "slower": 100 / (100 - row["percentile"]),
        }
        for row in rows
    ]
    names, furthest = texts(drawn, "series"), max(row["slower"] for row in drawn)
    axis = alt.Axis(
        values=[tick for tick in _TAIL_TICKS if tick <= furthest * 1.05],
        labelExpr="format(100 - 100 / datum.value, '.6~g') + ' %'",
    )
    look: dict[str, Any] = {
        "x": alt.X("slower:Q", title="Percentile of requests", axis=axis, scale=alt.Scale(type="log", nice=False)),
        "y": alt.Y("ms:Q", title="Latency (ms)", scale=value_scale([row["ms"] for row in drawn])),
        "color": alt.Color("series:N", scale=colour_scale(names), legend=alt.Legend(title=None)),
    }
    marked = [row for row in drawn if any(math.isclose(row["percentile"], named) for named in _NAMED_PERCENTILES)]
    shape = alt.Shape("series:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    known = [alt.Tooltip("series:N"), alt.Tooltip("percentile:Q"), alt.Tooltip("ms:Q", format=".4~g")]
    points = alt.Chart(data(marked)).mark_point(filled=True, opacity=1, size=60)
    lines = alt.Chart(data(drawn)).mark_line().encode(**look)
    return _drawn(330, lines, points.encode(**look, shape=shape, tooltip=known))


def labelled_bars(rows: Sequence[Datum], title: str, own: str) -> Spec:
    """``rows``: bar, start, end and its label; the bar named ``own`` is drawn in the accent, or all where none is named."""
    y = alt.Y("bar:N", title=None, sort=None, scale=alt.Scale(padding=0.35))
    most = max(row["end"] for row in rows) or 1
    x = alt.X("start:Q", title=title, scale=alt.Scale(domain=[0, most * 1.6], nice=False))  # room for the labels
    # A bar that begins late has the room for its label before it.
    shown = [{**row, "accent": not own or row["bar"] == own, "late": row["start"] > most / 2} for row in rows]
    base = alt.Chart(data(shown))
    colour = alt.condition("datum.accent", alt.value(_ACCENT), alt.value(NEUTRAL))
    known = [alt.Tooltip("bar:N"), alt.Tooltip("label:N")]
    bars = base.mark_bar().encode(x=x, x2="end:Q", y=y, color=colour, tooltip=known)
    early = alt.Chart(data([row for row in shown if not row["late"]])).mark_text(align="left", dx=6, limit=300)
    late = alt.Chart(data([row for row in shown if row["late"]])).mark_text(align="right", dx=-6, limit=300)
    words = [part.encode(x=alt.X(edge), y=y, text="label:N") for part, edge in ((early, "end:Q"), (late, "start:Q"))]
    return _drawn(band_height(texts(rows, "bar"), 44), bars, *words)


def over_time(rows: Sequence[Datum], field: str, title: str) -> Spec:
    """``field`` of each window over the seconds since the start."""
    y = alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=True, nice=True))
    x = alt.X("t_s:Q", title="Time since the start (s)")
    known = [alt.Tooltip("t_s:Q", title="s"), alt.Tooltip(f"{field}:Q", title=title)]
    line = alt.Chart(data(rows)).mark_line(color=_ACCENT, point={"color": _ACCENT, "size": 18})
    return _drawn(230, line.encode(x=x, y=y, tooltip=known))
