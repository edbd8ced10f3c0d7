"""Charts of what methods deliver over links: the model's curves on a logarithmic axis of bandwidth, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from harness.results.model import Cost, Link
from reports.drawing.parts import Datum, Spec, colour, dash, data, drawn, log_scale, shape, texts, tooltips
from reports.drawing.theme import INK

LinkAt = Callable[[float], Link]

_MBIT = 1e6 / 8
_LOWEST_MBIT, _HIGHEST_MBIT = 10.0, 10_000.0
_STEPS = 90
_MARGIN = 1.4
_MOST_AGAINST_NONE = 2.5
"""Far above the break-even nobody uses a method, and its curve would flatten the others."""


def _bandwidths(marks_mbit: Sequence[float]) -> list[float]:
    """From ten megabits to ten gigabits, and further where there is something to see. In Mbit/s."""
    low = min([_LOWEST_MBIT, *(mark / _MARGIN for mark in marks_mbit)])
    high = max([_HIGHEST_MBIT, *(mark * _MARGIN for mark in marks_mbit)])
    return [low * (high / low) ** (step / _STEPS) for step in range(_STEPS + 1)]


def _x(mbits: Sequence[float]) -> alt.X:
    scale = alt.Scale(type="log", domain=[mbits[0], mbits[-1]], nice=False)
    axis = alt.Axis(format=",d", values=_decades(mbits[0], mbits[-1]))
    return alt.X("mbit:Q", title="Bandwidth of the link (Mbit/s)", scale=scale, axis=axis)


def _decades(low: float, high: float) -> list[float]:
    steps = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for step in steps for value in (10.0**step, 3 * 10.0**step) if low <= value <= high]


def _curves(
    lines: Sequence[Datum],
    measured: Sequence[Datum],
    marks: Sequence[Datum],
    *,
    y: alt.Y,
    shown: tuple[str, str],
    none: str,
    asked_bytes_per_s: float | None,
) -> Spec:
    """Curves, measured points in the same colours, a ring where a method stops paying, and a rule at the link asked for.

    ``shown``: title and format of a row's figure, which is ``y``'s.
    """
    names = texts(lines, "series")
    look: dict[str, Any] = {
        "x": _x(sorted({row["mbit"] for row in lines})),
        "y": y,
        "color": colour("series", names, none),
        "tooltip": tooltips(("series:N", "method"), ("mbit:Q", "Mbit/s", ",.0f"), (str(y.shorthand), *shown)),
    }
    layers = [data(lines).mark_line(clip=True, strokeWidth=1.8).encode(**look, strokeDash=dash("series", names))]
    if measured:
        layers.append(
            data(measured)
            .mark_point(filled=True, opacity=1, size=60, clip=True)
            .encode(**look, shape=shape("series", names))
        )
    if marks:
        rings = data(marks).mark_point(filled=False, size=150, strokeWidth=2.2, opacity=1, shape="circle")
        layers.append(rings.encode(**look))
    if asked := _mbits(asked_bytes_per_s):
        rule = data([{"mbit": mbit} for mbit in asked]).mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color=INK)
        layers.append(rule.encode(x="mbit:Q"))
    return drawn(360, *layers)


def _mbits(bandwidth_bytes_per_s: float | None) -> list[float]:
    return [] if bandwidth_bytes_per_s is None else [bandwidth_bytes_per_s / _MBIT]


def against_none(
    costs: Mapping[str, Cost],
    none: str,
    link_at: LinkAt,
    *,
    break_evens: Mapping[str, float],
    measured: Sequence[tuple[str, float, float]] = (),
    asked_bytes_per_s: float | None = None,
) -> Spec:
    """Time as a multiple of what ``none`` takes on the same link. ``measured``: method, bandwidth, multiple."""
    crossings = {name: value / _MBIT for name, value in break_evens.items() if 0 < value < math.inf}
    seen = [bandwidth / _MBIT for _, bandwidth, _ in measured] + _mbits(asked_bytes_per_s)
    mbits = _bandwidths([*crossings.values(), *seen])
    lines: list[Datum] = []
    for name, cost in costs.items():
        for mbit in mbits:
            link = link_at(mbit * _MBIT)
            times = costs[none].delivered_bytes_per_s(link) / cost.delivered_bytes_per_s(link)
            lines.append({"series": name, "mbit": mbit, "times": round(times, 4)})
    seen_there: list[Datum] = [
        {"series": name, "mbit": bandwidth / _MBIT, "times": round(times, 4)} for name, bandwidth, times in measured
    ]
    marks: list[Datum] = [{"series": name, "mbit": mbit, "times": 1.0} for name, mbit in crossings.items()]
    y = alt.Y("times:Q", title="Time, as a multiple of none's", scale=alt.Scale(domain=[0, _MOST_AGAINST_NONE]))
    shown = ("x none", ".2f")
    return _curves(lines, seen_there, marks, y=y, shown=shown, none=none, asked_bytes_per_s=asked_bytes_per_s)


def total_times(
    costs: Mapping[str, Cost],
    none: str,
    link_at: LinkAt,
    *,
    stream_bytes: float,
    break_evens: Mapping[str, float],
    asked_bytes_per_s: float | None = None,
) -> Spec:
    """Seconds for ``stream_bytes`` that nobody dirties, on two logarithmic axes."""
    crossings = {name: value for name, value in break_evens.items() if 0 < value < math.inf}
    marks_mbit = [value / _MBIT for value in crossings.values()] + _mbits(asked_bytes_per_s)
    lines: list[Datum] = [
        {"series": name, "mbit": mbit, "s": float(f"{cost.total_time_s(stream_bytes, link_at(mbit * _MBIT)):.4g}")}
        for name, cost in costs.items()
        for mbit in _bandwidths(marks_mbit)
    ]
    marks: list[Datum] = [
        {"series": name, "mbit": value / _MBIT, "s": costs[name].total_time_s(stream_bytes, link_at(value))}
        for name, value in crossings.items()
    ]
    y = alt.Y("s:Q", title="Total time (s)", scale=log_scale([row["s"] for row in lines], _MARGIN))
    return _curves(lines, [], marks, y=y, shown=("s", ",.3~g"), none=none, asked_bytes_per_s=asked_bytes_per_s)
