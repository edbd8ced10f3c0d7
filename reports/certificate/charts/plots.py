"""A certificate's rows drawn, as specs without width or theme: what is drawn against what.

Rows are taken as they come: who calls has left out those that lack a field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from harness.units import format_bytes
from reports.drawing.parts import Datum, Spec, band_height, bands, colour, data, drawn, points, shape, texts, tooltips
from reports.drawing.theme import ACCENT, INK, NEUTRAL, PAPER, colour_scale, shape_scale, value_scale
from reports.numbers import figure_text

_NAMED_PERCENTILES = (50, 95, 99, 99.9)
_TAIL_TICKS = (2, 10, 100, 1000, 10_000, 100_000)  # one in so many is slower: 50 %, 90 %, 99 % and so on
_SIZE = (
    "datum.value >= 1048576 ? datum.value / 1048576 + ' MiB' : "
    "datum.value >= 1024 ? datum.value / 1024 + ' KiB' : datum.value + ' B'"
)


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
    """MiB/s over unit size: a colour and a shape per number of threads, a ring at each knee."""
    threads = [figure_text(each) for each in sorted({row["threads"] for row in rows})]
    rates = value_scale([row["mib_per_s"] for row in rows])
    look: dict[str, Any] = {
        "x": _size_axis(rows),
        "y": alt.Y("mib_per_s:Q", title="Uncompressed bytes (MiB/s)", scale=rates),
    }
    by_threads = alt.Color("series:N", title="Threads", scale=colour_scale(threads))
    shapes = alt.Shape("series:N", title="Threads", scale=shape_scale(threads))
    known = tooltips(("unit_bytes:Q",), ("threads:Q",), ("mib_per_s:Q",))
    series = [{**row, "series": figure_text(row["threads"])} for row in rows]
    layers = [
        data(series).mark_line(strokeWidth=1.8).encode(**look, color=by_threads),
        points(series, 60).encode(**look, color=by_threads, shape=shapes, tooltip=known),
    ]
    if knees:
        ring = data([{**row, "label": "knee"} for row in knees])
        layers += [
            ring.mark_point(filled=False, size=320, strokeWidth=2.5, color=INK).encode(**look),
            ring.mark_text(dy=-20, fontWeight=700, stroke=PAPER, strokeWidth=4).encode(**look, text="label:N"),
            ring.mark_text(dy=-20, fontWeight=700).encode(**look, text="label:N"),
        ]
    return drawn(330, *layers)


def tail(rows: Sequence[Datum]) -> Spec:
    """The percentile axis is stretched towards its end: every decade of the tail gets the same room."""
    curves = [
        {
            **row,
            "series": f"{row.get('direction')}, {format_bytes(row['unit_bytes'])}",
            "slower": 100 / (100 - row["percentile"]),
        }
        for row in rows
    ]
    names, furthest = texts(curves, "series"), max(row["slower"] for row in curves)
    axis = alt.Axis(
        values=[tick for tick in _TAIL_TICKS if tick <= furthest * 1.05],
        labelExpr="format(100 - 100 / datum.value, '.6~g') + ' %'",
    )
    look: dict[str, Any] = {
        "x": alt.X("slower:Q", title="Percentile of requests", axis=axis, scale=alt.Scale(type="log", nice=False)),
        "y": alt.Y("ms:Q", title="Latency (ms)", scale=value_scale([row["ms"] for row in curves])),
        "color": colour("series", names),
    }
    marked = [row for row in curves if any(math.isclose(row["percentile"], named) for named in _NAMED_PERCENTILES)]
    known = tooltips(("series:N",), ("percentile:Q",), ("ms:Q", "", ".4~g"))
    return drawn(
        330,
        data(curves).mark_line().encode(**look),
        points(marked, 60).encode(**look, shape=shape("series", names), tooltip=known),
    )


def labelled_bars(rows: Sequence[Datum], title: str, own: str) -> Spec:
    """``rows``: bar, start, end and its label; the bar named ``own`` is drawn in the accent, or all where none is named."""
    y = bands("bar", None, 0.35)
    most = max(row["end"] for row in rows) or 1
    x = alt.X("start:Q", title=title, scale=alt.Scale(domain=[0, most * 1.6], nice=False))  # room for the labels
    # A bar that begins late has the room for its label before it.
    shown = [{**row, "accent": not own or row["bar"] == own, "late": row["start"] > most / 2} for row in rows]
    accent = alt.condition("datum.accent", alt.value(ACCENT), alt.value(NEUTRAL))
    known = tooltips(("bar:N",), ("label:N",))
    bars = data(shown).mark_bar().encode(x=x, x2="end:Q", y=y, color=accent, tooltip=known)
    early = data([row for row in shown if not row["late"]]).mark_text(align="left", dx=6, limit=300)
    late = data([row for row in shown if row["late"]]).mark_text(align="right", dx=-6, limit=300)
    words = [part.encode(x=alt.X(edge), y=y, text="label:N") for part, edge in ((early, "end:Q"), (late, "start:Q"))]
    return drawn(band_height(texts(rows, "bar"), 44), bars, *words)


def over_time(rows: Sequence[Datum], field: str, title: str) -> Spec:
    """``field`` of each window over the seconds since the start."""
    line = data(rows).mark_line(color=ACCENT, point={"color": ACCENT, "size": 18})
    over = line.encode(
        x=alt.X("t_s:Q", title="Time since the start (s)"),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=True, nice=True)),
        tooltip=tooltips(("t_s:Q", "s"), (f"{field}:Q", title)),
    )
    return drawn(230, over)
