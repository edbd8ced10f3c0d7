"""What the guest felt drawn: its throughput over time, a row for each method. As ``runs`` says."""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.parts import Datum, Spec, band_height, data, drawn, points, texts, tooltips
from reports.drawing.theme import INK, MUTED, colour_scale
from reports.facts import baseline_name
from reports.numbers import amount
from reports.run.felt import Curve, curves

_ROW_PIXELS = 84
# Of a row's height, from below: passes, the foot of its curve, the highest curve, stop and resume, its title.
_PASSES, _FOOT, _CURVE, _STOPS, _TITLE = 0.06, 0.12, 0.54, 0.74, 0.89
_MARKS = {"a pass begins": "circle", "the source stopped": "triangle-left", "the destination went on": "triangle-right"}


def throughput(result: Result) -> Spec | None:
    """Each method's median run in a row of its own: in one row the curves would lie on each other, as all guests do the same."""
    found = curves(result)
    if not found:
        return None
    tall = _CURVE / max(1.0, *(stretch.share for curve in found for stretch in curve.stretches))
    bases = range(len(found) - 1, -1, -1)
    rows = list(zip(found, bases, strict=True))
    stretches = [row for curve, base in rows for row in _stretches(curve, base, tall)]
    names = texts(stretches, "method")
    x = alt.X("s:Q", title="Time since the migrate command (s)", scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, len(found)], nice=False))
    look: dict[str, Any] = {"x": x, "x2": "to:Q", "y": y, "y2": "base:Q"}
    colour = alt.Color("method:N", scale=colour_scale(names, baseline_name(result)), legend=None)
    seen = alt.Scale(domain=list(_MARKS), range=list(_MARKS.values()))
    unit = found[0].work.unit
    known = tooltips(
        ("method:N",), ("s:Q", "from s", ".2f"), ("to:Q", "to s", ".2f"), ("per_s:Q", f"{unit} per s", ",.1f"),
        ("share:Q", "of before", ".0%"),
    )  # fmt: skip
    shape = alt.Shape("what:N", scale=seen, legend=alt.Legend(title=None, symbolFillColor=INK))
    marked: dict[str, Any] = {"x": x, "y": y, "color": alt.value(INK), "shape": shape}
    return drawn(
        band_height(names, _ROW_PIXELS),
        data(_lines(rows, 0.0)).mark_rule(color=MUTED, opacity=0.5).encode(x=x, x2="to:Q", y=y),
        data(_lines(rows, tall)).mark_rule(color=MUTED, strokeDash=[3, 3]).encode(x=x, x2="to:Q", y=y),
        data(stretches).mark_rect(opacity=0.45).encode(**look, color=colour, tooltip=known),
        points([row for curve, base in rows for row in _passes(curve, base)], 30).encode(
            **marked, tooltip=tooltips(("method:N",), ("pass:Q", "pass begins"), ("s:Q", "at s", ".2f"))
        ),
        points([row for curve, base in rows for row in _stops(curve, base)], 55).encode(
            **marked, tooltip=tooltips(("method:N",), ("what:N", " "), ("s:Q", "at s", ".3f"))
        ),
        data(_titles(rows)).mark_text(align="left", baseline="middle").encode(x=x, y=y, text="title:N"),
    )


def _stretches(curve: Curve, base: int, tall: float) -> list[Datum]:
    return [
        {
            "method": curve.method,
            "s": round(stretch.from_s, 3),
            "to": round(stretch.to_s, 3),
            "y": round(base + _FOOT + stretch.share * tall, 4),
            "base": base + _FOOT,
            "per_s": float(f"{stretch.per_s:.4g}"),
            "share": round(stretch.share, 3),
        }
        for stretch in curve.stretches
    ]


def _passes(curve: Curve, base: int) -> list[Datum]:
    """Below the curve, so that nothing of it is hidden."""
    what, *_ = _MARKS
    return [
        {"method": curve.method, "what": what, "pass": number, "s": round(at_s, 3), "y": base + _PASSES}
        for number, at_s in curve.passes
    ]


def _stops(curve: Curve, base: int) -> list[Datum]:
    _, stopped, went_on = _MARKS
    return [
        {"method": curve.method, "what": what, "s": round(at_s, 3), "y": base + _STOPS}
        for what, at_s in ((stopped, curve.work.stop_s), (went_on, curve.work.resume_s))
    ]


def _lines(rows: list[tuple[Curve, int]], height: float) -> list[Datum]:
    """From a curve's begin to its end: its foot, or the pace of before."""
    return [
        {
            "s": round(curve.stretches[0].from_s, 3),
            "to": round(curve.stretches[-1].to_s, 3),
            "y": base + _FOOT + height,
        }
        for curve, base in rows
    ]


def _titles(rows: list[tuple[Curve, int]]) -> list[Datum]:
    first_s = min(curve.stretches[0].from_s for curve, _ in rows)
    return [
        {
            "s": round(first_s, 3),
            "y": base + _TITLE,
            "title": f"{curve.method}, run {curve.repeat}: {amount(curve.work.lost_s, 2)} s of work lost",
        }
        for curve, base in rows
    ]
