"""Total time by method: every run, the median and its interval. The first question of all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import altair as alt

from harness.results.metrics import METRICS
from harness.results.result import Result
from reports.drawing.parts import ROOMY_BANDS, Datum, Spec, band_height, bands, data, drawn, points, tooltips
from reports.drawing.theme import ACCENT, INK, MUTED, NEUTRAL, PAPER, along, value_scale
from reports.effects import counted_methods, counted_runs, summary_of
from reports.facts import baseline_name
from reports.numbers import effect_percent, scaled

Side = Literal["left", "center", "right"]
_SIDES: dict[Side, float] = {"left": 0.25, "center": 0.75, "right": math.inf}
"""Of a label's alignment, and up to which part of the axis: half a label is as wide as a quarter of a phone's chart."""


def totals(result: Result) -> Spec | None:
    """A band for each method, and a dashed line at the baseline's median."""
    methods, base = counted_methods(result), baseline_name(result)
    runs: list[Datum] = [
        {"method": method, "repeat": run.repeat, "ms": round(run.total_time_s * 1e3, 2)}
        for method in methods
        for run in counted_runs(result, method)
        if run.total_time_s is not None
    ]
    if not runs:
        return None
    medians = [row for method in methods if (row := _median(result, method)) is not None]
    times = [row["ms"] for row in runs]
    scale = value_scale(times)
    place: dict[str, Any] = {"y": bands("method", methods)}
    x = alt.X("ms:Q", title="Total time (ms)", scale=scale)
    tint = alt.condition(
        alt.FieldEqualPredicate(field="method", equal=base or ""), alt.value(NEUTRAL), alt.value(ACCENT)
    )
    known = tooltips(("method:N",), ("ms:Q", "total ms", ",.0f"), ("repeat:Q",))
    layers = [
        data(medians).mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=tint, **place),
        points(runs, 30, 0.45).encode(x=x, color=alt.value(MUTED), tooltip=known, **place),
        data(medians)
        .mark_point(filled=True, opacity=1, size=130, shape="diamond", stroke=PAPER, strokeWidth=1)
        .encode(x=x, color=tint, tooltip=known[:2], **place),
        *(
            words.encode(text="label:N", **place)
            for side in _SIDES
            if (rows := [row for row in medians if _side(row["ms"], times) == side])
            for words in _labels(rows, side, above=len(methods) <= ROOMY_BANDS)
        ),
    ]
    if reference := [row for row in medians if row["method"] == base]:
        line = data(reference).mark_rule(strokeDash=[5, 4], strokeWidth=1.2, color=INK)
        layers.insert(0, line.encode(x=x))
    return drawn(band_height(methods, 44), *layers)


def _side(value: float, values: Sequence[float]) -> Side:
    """On which side of its mark a label must begin, so as not to reach out of the chart."""
    return next(side for side, most in _SIDES.items() if along(value, values) <= most)


def _labels(rows: Sequence[Datum], side: Side, *, above: bool) -> Iterator[alt.Chart]:
    """The text above its mark, or beside its interval where bands are narrow, on a rim of paper that keeps lines away from it."""
    look: dict[str, Any] = {"align": side, "dx": {"left": -7, "center": 0, "right": 7}[side], "dy": -13}
    at = "ms:Q"
    if not above:
        before = side == "right"
        look = {"align": "right" if before else "left", "dx": -9 if before else 9, "baseline": "middle"}
        at = "low:Q" if before else "high:Q"
    rims: tuple[dict[str, Any], ...] = ({"stroke": PAPER, "strokeWidth": 3}, {})
    for rim in rims:
        yield data(rows).mark_text(**rim, **look).encode(x=alt.X(at))


def _median(result: Result, method: str) -> Datum | None:
    """With its figure and its change against the baseline in words."""
    summary = summary_of(result, method, "total_time_s")
    if summary is None:
        return None
    middle, low, high = (round(each * 1e3, 2) for each in (summary.median, *summary.ci95))
    figure = scaled(METRICS["total_time_s"], summary.median)
    words = figure if summary.vs_baseline is None else f"{figure} ({effect_percent(summary.vs_baseline)})"
    return {"method": method, "ms": middle, "low": low, "high": high, "label": words}
