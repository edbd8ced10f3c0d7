"""Total time by method: every run, the median and its interval. The first question of all."""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.parts import Datum, Spec, band_height, bands, data, drawn, points, tooltips
from reports.drawing.theme import ACCENT, INK, MUTED, NEUTRAL, PAPER, value_scale
from reports.effects import counted_methods, counted_runs, summary_of
from reports.facts import baseline_name
from reports.numbers import amount, effect_percent


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
    scale = value_scale([row["ms"] for row in runs])
    place: dict[str, Any] = {"y": bands("method", methods)}
    x = alt.X("ms:Q", title="Total time (ms)", scale=scale)
    tint = alt.condition(
        alt.FieldEqualPredicate(field="method", equal=base or ""), alt.value(NEUTRAL), alt.value(ACCENT)
    )
    known = tooltips(("method:N",), ("ms:Q", "total ms", ",.0f"), ("repeat:Q",))
    figures = data(medians).mark_text(dy=-13, stroke=PAPER, strokeWidth=3)
    layers = [
        data(medians).mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=tint, **place),
        points(runs, 30, 0.45).encode(x=x, color=alt.value(MUTED), tooltip=known, **place),
        data(medians)
        .mark_point(filled=True, opacity=1, size=130, shape="diamond", stroke=PAPER, strokeWidth=1)
        .encode(x=x, color=tint, tooltip=known[:2], **place),
        figures.encode(x=x, text="label:N", **place),
        data(medians).mark_text(dy=-13).encode(x=x, text="label:N", **place),
    ]
    if reference := [row for row in medians if row["method"] == base]:
        line = data(reference).mark_rule(strokeDash=[5, 4], strokeWidth=1.2, color=INK)
        layers.insert(0, line.encode(x=x))
    return drawn(band_height(methods, 44), *layers)


def _median(result: Result, method: str) -> Datum | None:
    """With its figure and its change against the baseline in words."""
    summary = summary_of(result, method, "total_time_s")
    if summary is None:
        return None
    middle, low, high = (round(each * 1e3, 2) for each in (summary.median, *summary.ci95))
    words = (
        amount(middle) if summary.vs_baseline is None else f"{amount(middle)} ({effect_percent(summary.vs_baseline)})"
    )
    return {"method": method, "ms": middle, "low": low, "high": high, "label": words}
