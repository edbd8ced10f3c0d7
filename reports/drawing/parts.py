"""What charts are put together from: rows, marks, encodings and layers. Knows Altair, and no result.

A chart's module makes Vega-Lite specs without width or theme: what is drawn against what. Numbers are rounded for drawing
only; tables and the raw JSON keep them whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from reports.drawing.theme import PAPER, colour_scale, dash_scale, shape_scale

Datum = dict[str, Any]
Spec = dict[str, Any]
ROOMY_BANDS = 10
"""So many bands at most have room for a label above each mark."""


def data(rows: Sequence[Datum]) -> alt.Chart:
    """A chart of ``rows``, without a mark yet. Altair is not to hold every row to its schema: rows may be anything there."""
    with debug_mode(False):
        return alt.Chart(alt.InlineData(values=list(rows)))


def texts(rows: Sequence[Datum], field: str) -> list[str]:
    """The distinct texts of ``field``, in their order."""
    return list(dict.fromkeys(str(row[field]) for row in rows))


def band_height(bands: Sequence[str], pixels: int) -> int:
    """The height of a chart with a band of so many pixels each. Not Vega's own step: it does not go with a fluid width."""
    return max(2, len(bands)) * (pixels if len(bands) <= ROOMY_BANDS else max(15, pixels // 2))


def bands(field: str, order: Sequence[str] | None, padding: float | None = None) -> alt.Y:
    """A band for each text of ``field``; without ``padding`` between them, lines around them."""
    if padding is None:
        return alt.Y(f"{field}:N", title=None, sort=order, axis=alt.Axis(grid=True, tickBand="extent"))
    return alt.Y(f"{field}:N", title=None, sort=order, scale=alt.Scale(padding=padding))


def colour(field: str, names: Sequence[str], baseline: str | None = None) -> alt.Color:
    """A colour for each of ``names``, with a legend."""
    return alt.Color(f"{field}:N", scale=colour_scale(names, baseline), legend=alt.Legend(title=None))


def shape(field: str, names: Sequence[str]) -> alt.Shape:
    """A shape for each of ``names``, so that colour is never the only difference."""
    return alt.Shape(f"{field}:N", scale=shape_scale(names), legend=alt.Legend(title=None))


def dash(field: str, names: Sequence[str]) -> alt.StrokeDash:
    """A dash pattern for each of ``names``, where lines have no marks to tell them apart."""
    return alt.StrokeDash(f"{field}:N", scale=dash_scale(names), legend=alt.Legend(title=None))


def tooltips(*fields: tuple[str, ...]) -> list[alt.Tooltip]:
    """Of each a field with its type, then the title that it gets in place of its name, then a number's format."""
    names = ("shorthand", "title", "format")
    told: list[dict[str, Any]] = [
        {name: text for name, text in zip(names, each, strict=False) if text} for each in fields
    ]
    return [alt.Tooltip(**each) for each in told]


def points(rows: Sequence[Datum], size: int, opacity: float = 1, edge: float | None = None) -> alt.Chart:
    """Filled marks of ``size`` square pixels, ``edge`` pixels of paper around them."""
    around: dict[str, Any] = {} if edge is None else {"stroke": PAPER, "strokeWidth": edge}
    marks: alt.Chart = data(rows).mark_point(filled=True, opacity=opacity, size=size, **around)
    return marks


def log_scale(values: Sequence[float], margin: float) -> alt.Scale:
    """Logarithmic, and ``margin`` times further than ``values`` on both sides."""
    return alt.Scale(type="log", nice=False, domain=[min(values) / margin, max(values) * margin])


def drawn(height: int, *layers: alt.Chart) -> Spec:
    """The layers one on the other, first to last."""
    whole = layers[0] if len(layers) == 1 else alt.layer(*layers)
    spec: Spec = whole.properties(height=height).to_dict(validate=False)  # each part was, when it was made
    return spec
