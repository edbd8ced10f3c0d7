"""Altair charts of frontiers: every attempt of one result, and the frontiers of many results against the link's bandwidth.

Siblings of ``runs``, with the same rules. A frontier that was not found has no mark; what was tried is there all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import altair as alt

from harness.results.result import Result
from harness.results.search import Attempt, Frontier
from harness.units import format_bandwidth
from reports.drawing.theme import colour_scale, shape_scale, value_scale
from reports.facts import baseline_name, delay_of, distance_text
from reports.run.charts.runs import Datum, Spec, band_height, data, texts
from reports.run.frontiers import of_search

__all__ = ["attempts", "by_bandwidth", "observed_by_bandwidth"]

_UNIT = {"dirty_rate": float(1 << 20), "downtime_limit": 1e-3}
_AXIS = {"dirty_rate": "Dirty rate (MiB/s)", "downtime_limit": "Downtime limit (ms)"}
_CONVERGED, _NOT, _SLOW, _STOOD = "converged", "did not converge", "the guest was too slow", "STOP to RESUME"


def _scaled(search: str, value: float) -> float:
    return float(f"{value / _UNIT[search]:.4g}")


def attempts(result: Result, search: str) -> Spec | None:
    """A band per method: what was tried and how it ended, the bracket as a line, the frontier as a large mark; and, where the
    lowest limit was looked for, how long the guest stood still there."""
    rows: list[Datum] = [
        {
            "method": run.method,
            "series": _outcome(run.attempt),
            "value": _scaled(search, run.attempt.value),
            "big": False,
        }
        for run in result.runs
        if run.attempt is not None and run.attempt.search == search and run.attempt.converged is not None
    ]
    found = of_search(result, search)
    rows += [_mark(each, _CONVERGED, each.converged_at) for each in found if each.converged_at is not None]
    if search == "downtime_limit":
        rows += [_mark(each, _STOOD, value) | {"big": False} for each in found for value in each.downtimes_s]
        rows += [_mark(each, _STOOD, median(each.downtimes_s)) for each in found if each.downtimes_s]
    if not rows:
        return None
    known = [name for name in (_CONVERGED, _NOT, _SLOW, _STOOD) if name in texts(rows, "series")]
    scale = value_scale([row["value"] for row in rows])
    look: dict[str, Any] = {
        "y": alt.Y("method:N", title=None, sort=texts(rows, "method"), axis=alt.Axis(grid=True, tickBand="extent")),
        "color": alt.Color("series:N", scale=colour_scale(known), legend=alt.Legend(title=None)),
    }
    if search == "downtime_limit":
        rows = [{**row, "row": "observed" if row["series"] == _STOOD else "limit"} for row in rows]
        look["yOffset"] = alt.YOffset("row:N", sort=["limit", "observed"])
    title = _AXIS[search] if search == "dirty_rate" else "ms"
    marks: dict[str, Any] = {
        **look,
        "x": alt.X("value:Q", title=title, scale=scale),
        "shape": alt.Shape("series:N", scale=shape_scale(known), legend=alt.Legend(title=None)),
        "tooltip": [
            alt.Tooltip("method:N"),
            alt.Tooltip("series:N", title="outcome"),
            alt.Tooltip("value:Q", title=title),
        ],
    }
    small = alt.Chart(data([row for row in rows if not row["big"]]))
    large = alt.Chart(data([row for row in rows if row["big"]]))
    lines = [
        {"method": each.method, "series": _CONVERGED, "row": "limit", "low": low, "high": high}
        for each in found
        if (low := _number(search, each.converged_at)) and (high := _number(search, each.failed_at))
    ]
    layers = [
        alt.Chart(data(lines)).mark_rule(strokeWidth=3, opacity=0.7).encode(**look, x=alt.X("low:Q"), x2="high:Q"),
        small.mark_point(filled=True, opacity=0.45, size=45).encode(**marks),
        large.mark_point(filled=True, opacity=1, size=130, stroke="var(--paper, #fff)").encode(**marks),
    ]
    height = band_height(texts(rows, "method"), 34 if search == "dirty_rate" else 48)
    return alt.layer(*(layers if lines else layers[1:])).properties(height=height).to_dict()


def _outcome(attempt: Attempt) -> str:
    if attempt.converged:
        return _CONVERGED
    return _SLOW if attempt.guest_limited else _NOT


def _mark(frontier: Frontier, series: str, value: float) -> Datum:
    return {"method": frontier.method, "series": series, "value": _scaled(frontier.search, value), "big": True}


def _number(search: str, value: float | None) -> float | None:
    return None if value is None else _scaled(search, value)


def by_bandwidth(results: Sequence[Result], search: str) -> Spec | None:
    """A line per method through the links: where it converged, with the bracket's other end as an error bar."""
    rows = [
        {**who, "value": _scaled(search, each.converged_at), "other": _number(search, each.failed_at)}
        for who, each in _found(results, search)
        if each.converged_at is not None
    ]
    return _lines(results, rows, _AXIS[search])


def observed_by_bandwidth(results: Sequence[Result]) -> Spec | None:
    """A line per method through the links: median and range of STOP to RESUME at the lowest limit that converged."""
    rows: list[Datum] = []
    for who, each in _found(results, "downtime_limit"):
        if each.downtimes_s:
            middle, low, high = (
                _scaled("downtime_limit", value)
                for value in (median(each.downtimes_s), min(each.downtimes_s), max(each.downtimes_s))
            )
            rows.append({**who, "value": middle, "other": high, "from": low})
    return _lines(results, rows, "STOP to RESUME (ms)")


def _found(results: Sequence[Result], search: str) -> list[tuple[Datum, Frontier]]:
    return [
        ({"method": each.method, "link": _link(result)}, each)
        for result in sorted(results, key=_order)
        for each in of_search(result, search)
    ]


def _bandwidth(result: Result) -> float:
    value = (result.scenario.get("link") or {}).get("bandwidth_bytes_per_s")
    return float(value) if value is not None else float("inf")


def _order(result: Result) -> tuple[float, tuple[float, float]]:
    return _bandwidth(result), delay_of(result)


def _link(result: Result) -> str:
    value = _bandwidth(result)
    words = [format_bandwidth(None if value == float("inf") else value), distance_text(result)]
    return ", ".join(word for word in words if word)


def _lines(results: Sequence[Result], rows: Sequence[Datum], title: str) -> Spec | None:
    if not rows:
        return None
    names = list(
        dict.fromkeys(each.method for result in results for each in result.frontiers)
    )  # one colour in every chart
    links = list(dict.fromkeys(_link(result) for result in sorted(results, key=_order)))
    ends = [row[key] for row in rows for key in ("value", "other", "from") if row.get(key) is not None]
    base = next((name for result in results if (name := baseline_name(result)) is not None), None)
    look: dict[str, Any] = {
        "x": alt.X("link:N", title="Link", sort=links, scale=alt.Scale(domain=links), axis=alt.Axis(labelAngle=0)),
        "xOffset": alt.XOffset("method:N", sort=names),
        "color": alt.Color("method:N", scale=colour_scale(names, base), legend=alt.Legend(title=None)),
    }
    shape = alt.Shape("method:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    y = alt.Y("value:Q", title=title, scale=value_scale(ends))
    bars = [{**row, "start": row.get("from", row["value"])} for row in rows if row["other"] is not None]
    known = [
        alt.Tooltip("method:N"),
        alt.Tooltip("link:N"),
        alt.Tooltip("value:Q", title=title),
        alt.Tooltip("other:Q", title="other end"),
    ]
    return (
        alt.layer(
            alt.Chart(data(bars))
            .mark_rule(strokeWidth=2, opacity=0.7)
            .encode(**look, y=alt.Y("start:Q"), y2="other:Q"),
            alt.Chart(data(rows))
            .mark_point(filled=True, opacity=1, size=90)
            .encode(**look, y=y, shape=shape, tooltip=known),
        )
        .properties(height=330)
        .to_dict()
    )
