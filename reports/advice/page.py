"""An advice as one self-contained page: verdict table, charts, what to type, and what to doubt."""

from __future__ import annotations

import math
from pathlib import Path

from harness.results.advice import BEYOND_LIMIT_S, Advice, dump_advice
from harness.units import format_bytes
from reports import html
from reports.advice.view import HEADINGS, advice_view
from reports.drawing import model_curves
from reports.drawing.chart import Chart, finished


def _charts(advice: Advice) -> list[Chart]:
    costs = {method.method: method.cost for method in advice.methods}
    none = next(method.method for method in advice.methods if method.break_even is None)
    bounds = {
        method.method: math.inf if method.break_even.value is None else method.break_even.value
        for method in advice.methods
        if method.break_even is not None
    }
    asked = advice.question.bandwidth_bytes_per_s
    rings = "A ring stands where a method stops paying"
    rings += "." if asked is None else ", the dashed line at the link that was asked for."
    against = "The model's total time of each method as a multiple of what no compression takes on the same link: below 1 it pays."
    return [
        finished(
            "break-even",
            "Time against no compression, by bandwidth",
            f"{against} {rings}",
            model_curves.against_none(costs, none, advice.link.at, break_evens=bounds, asked_bytes_per_s=asked),
        ),
        finished(
            "total",
            "Total time, by bandwidth",
            f"Of {format_bytes(advice.question.stream_bytes)} of stream that nobody dirties, by the model. {rings}",
            model_curves.total_times(
                costs,
                none,
                advice.link.at,
                stream_bytes=advice.question.stream_bytes,
                break_evens=bounds,
                asked_bytes_per_s=asked,
            ),
        ),
    ]


def render_advice(advice: Advice) -> str:
    """The page."""
    return html.render(
        "advice.html",
        interactive=True,
        advice=advice,
        page=advice_view(advice),
        headings=HEADINGS,
        beyond_s=BEYOND_LIMIT_S,
        charts=_charts(advice),
        download=html.download("advice.json", dump_advice(advice)),
    )


def write_advice(advice: Advice, path: Path) -> None:
    """One self-contained page, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_advice(advice))
