"""An advice as one self-contained page: verdict table, charts, what to type, and what to doubt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.results.advice import BEYOND_LIMIT_S, Advice, Bandwidth, Estimate, MethodAdvice, dump_advice
from harness.results.advice_words import bound_text, mb_text
from harness.units import format_bandwidth, format_bytes, format_duration
from reports import html
from reports.drawing import model_curves
from reports.drawing.chart import Chart, finished
from reports.facts import minute_text
from reports.numbers import DASH, amount, plural

__all__ = ["AdviceView", "Row", "advice_view", "render_advice", "write_advice"]

HEADINGS = (
    "Total time",
    "Downtime",
    "Delivered (MB/s)",
    "Faster than none up to",
    "Wire ratio",
    "Without a limit (MB/s)",
    "On two hosts, at most (MB/s)",
    "CPU, source / destination (s/GiB)",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One method: a text and an interval for each of ``HEADINGS``."""

    method: str
    how: str
    n: int
    best: bool
    baseline: bool
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AdviceView:
    """All that the page says outside its charts."""

    title: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    missing: tuple[tuple[str, str], ...]


def advice_view(advice: Advice) -> AdviceView:
    """The advice as texts."""
    question = advice.question
    link = format_bandwidth(question.bandwidth_bytes_per_s)
    dirty = question.dirty_bytes_per_s
    facts = (
        ("Guest", question.guest),
        ("Link", link),
        ("First pass", f"{format_bytes(question.stream_bytes)} of stream"),
        ("Dirtied", DASH if dirty is None else f"{format_bytes(dirty)}/s"),
        ("Downtime limit", format_duration(question.downtime_limit_s)),
        (
            "Measured on",
            plural(question.cores, "core") + f" of {advice.environment.get('cpu_model') or 'this machine'}",
        ),
        ("When", minute_text(str(advice.environment.get("date", DASH)))),
    )
    rows = tuple(_row(method, best=method.method == advice.recommended) for method in advice.methods)
    return AdviceView(f"{advice.recommended} at {link}", facts, rows, tuple(advice.missing.items()))


def _row(method: MethodAdvice, *, best: bool) -> Row:
    downtime = f"at most {format_duration(method.downtime_most_s)}" if method.converges else DASH
    level = "" if method.level is None else f" level {method.level}"
    return Row(
        method=method.method,
        how=f"pageferry, {method.backend}{level}",
        n=method.n,
        best=best,
        baseline=method.break_even is None,
        cells=(
            _cell(method.total_time_s, format_duration, "never"),
            (downtime, f"from {format_duration(method.downtime_least_s)}" if method.converges else ""),
            _cell(method.delivered_bytes_per_s, mb_text),
            _cell(method.break_even, bound_text),
            (amount(method.ratio.value, 2), ""),
            _cell(method.pair_bytes_per_s, mb_text),
            (amount(method.apart_bytes_per_s / 1e6), ""),
            (f"{amount(method.sender_cpu_s_per_gib, 1)} / {amount(method.receiver_cpu_s_per_gib, 1)}", ""),
        ),
    )


def _cell(found: Estimate | Bandwidth | None, show: Callable[[Any], str], nothing: str = DASH) -> tuple[str, str]:
    """A value, and its interval where that has a width."""
    if found is None:
        return nothing, ""
    low = show(found.low)
    high = "never" if found.high is None and isinstance(found, Estimate) else show(found.high)
    return show(found.value), "" if low == high else f"{low} to {high}"


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
