"""The charts' look: colours are CSS variables, so that one SVG follows light, dark and print. Knows no data.

Every variable carries its light value as a fallback, for a chart that is taken out of its page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

__all__ = [
    "ACCENT",
    "CONFIG",
    "FRAME",
    "HEAT_INK",
    "HEAT_RANGE",
    "INK",
    "MUTED",
    "NEUTRAL",
    "PAPER",
    "along",
    "colour_scale",
    "dash_scale",
    "shape_scale",
    "value_scale",
]

INK, MUTED, PAPER = "var(--ink, #1b2430)", "var(--muted, #55606e)", "var(--paper, #fff)"
NEUTRAL, ACCENT, FRAME = "var(--c0, #5f6b7a)", "var(--c1, #0b63c4)", "var(--c2, #b4540a)"
_PALETTE = (
    ACCENT,
    FRAME,
    "var(--c3, #1a7f4b)",
    "var(--c4, #7d4fd1)",
    "var(--c5, #b4235f)",
    "var(--c6, #0e7c86)",
    "var(--c7, #806000)",
    "var(--c8, #4a4fc4)",
    "var(--c9, #a0402a)",
)
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
_DASHES: tuple[tuple[int, ...], ...] = (
    (1, 0),
    (7, 3),
    (2, 2),
    (8, 3, 2, 3),
    (12, 4),
    (4, 2),
    (2, 4),
    (10, 2, 2, 2, 2, 2),
)
HEAT_RANGE = ("#dbe9f6", "#08519c")
HEAT_INK = ("#12181f", "#ffffff")  # on the light part of HEAT_RANGE, on the dark part
_LOG_MARGIN = 1.3
_LOG_SPAN = 20  # a linear axis squeezes what is twenty times smaller than the largest into its first 5 %

_GRID = "var(--grid, #e3e7ec)"
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"  # one set of metrics everywhere: labels keep the room measured for them

CONFIG: dict[str, Any] = {
    "aria": False,  # the figure around a chart carries its description; a mark-by-mark reading helps nobody
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "domainColor": MUTED,
        "gridColor": _GRID,
        "labelColor": MUTED,
        "labelFontSize": 12,
        "labelLimit": 190,
        "tickColor": _GRID,
        "titleColor": INK,
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "titlePadding": 8,
    },
    "axisX": {"tickCount": 8, "labelOverlap": True, "labelSeparation": 6},
    "axisY": {"domain": False},
    "legend": {
        "columnPadding": 18,  # a reader's font may be wider than the one that the static SVG was measured with
        "columns": 4,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 230,
        "orient": "bottom",
        "offset": 12,
        "symbolOpacity": 1,
        "symbolSize": 90,
        "symbolStrokeWidth": 0,
        "title": None,
        "titleColor": INK,
    },
    "locale": {"number": {"decimal": ".", "thousands": "\u202f", "grouping": [3], "currency": ["", ""]}},
    "line": {"strokeWidth": 2},
    "text": {"color": INK, "font": _FONT, "fontSize": 12},
}


def colour_scale(series: Sequence[str], baseline: str | None = None) -> alt.Scale:
    """A colour per series: the baseline neutral, the others by the palette in their order."""
    others = [name for name in series if name != baseline]
    colours = [NEUTRAL if name == baseline else _PALETTE[others.index(name) % len(_PALETTE)] for name in series]
    return alt.Scale(domain=list(series), range=colours)


def shape_scale(series: Sequence[str]) -> alt.Scale:
    """A shape per series, so that colour is never the only difference."""
    return alt.Scale(domain=list(series), range=[_SHAPES[index % len(_SHAPES)] for index in range(len(series))])


def dash_scale(series: Sequence[str]) -> alt.Scale:
    """A dash pattern per series; the first is whole."""
    return alt.Scale(domain=list(series), range=[list(_DASHES[at % len(_DASHES)]) for at in range(len(series))])


def value_scale(values: Sequence[float]) -> alt.Scale:
    """Linear from zero; logarithmic only where the smallest value would vanish otherwise."""
    if domain := _log_domain(values):
        return alt.Scale(type="log", nice=False, domain=list(domain))
    return alt.Scale(zero=True, nice=True)


def along(value: float, values: Sequence[float]) -> float:
    """About where on ``value_scale(values)`` it lies: 0 at the beginning, 1 at the end. One of ``values`` is above 0."""
    if domain := _log_domain(values):
        return math.log(value / domain[0]) / math.log(domain[1] / domain[0])
    return value / max(values)


def _log_domain(values: Sequence[float]) -> tuple[float, float] | None:
    """None: the axis is linear."""
    if values and min(values) > 0 and max(values) / min(values) > _LOG_SPAN:
        return min(values) / _LOG_MARGIN, max(values) * _LOG_MARGIN
    return None
