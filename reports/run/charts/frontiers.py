"""Every attempt of a search for frontiers, and how it ended. As ``runs`` says.

A frontier that was not found has no mark; what was tried is there all the same.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import altair as alt

from harness.results.result import Result
from harness.results.search import Attempt, Frontier
from reports.drawing.parts import Datum, Spec, band_height, bands, colour, data, drawn, points, shape, texts, tooltips
from reports.drawing.searches import AXIS, scaled
from reports.drawing.theme import PAPER, value_scale

_CONVERGED, _NOT, _SLOW, _STOOD = "converged", "did not converge", "the guest was too slow", "STOP to RESUME"


def attempts(result: Result, search: str) -> Spec | None:
    """A band per method: what was tried and how it ended, the bracket as a line, the frontier as a large mark; and, where the
    lowest limit was looked for, how long the guest stood still there."""
    found = [each for each in result.frontiers if each.search == search]
    rows = _rows(result, found, search)
    if not rows:
        return None
    known = [name for name in (_CONVERGED, _NOT, _SLOW, _STOOD) if name in texts(rows, "series")]
    look: dict[str, Any] = {"y": bands("method", texts(rows, "method")), "color": colour("series", known)}
    if search == "downtime_limit":
        rows = [{**row, "row": "observed" if row["series"] == _STOOD else "limit"} for row in rows]
        look["yOffset"] = alt.YOffset("row:N", sort=["limit", "observed"])
    title = AXIS[search] if search == "dirty_rate" else "Limit and downtime (ms)"
    marks: dict[str, Any] = {
        **look,
        "x": alt.X("value:Q", title=title, scale=value_scale([row["value"] for row in rows])),
        "shape": shape("series", known),
        "tooltip": tooltips(("method:N",), ("series:N", "outcome"), ("value:Q", title)),
    }
    large = data([row for row in rows if row["big"]]).mark_point(filled=True, opacity=1, size=130, stroke=PAPER)
    layers = [points([row for row in rows if not row["big"]], 45, 0.45).encode(**marks), large.encode(**marks)]
    if lines := _brackets(found):
        rules = data(lines).mark_rule(strokeWidth=3, opacity=0.7)
        layers.insert(0, rules.encode(**look, x=alt.X("low:Q"), x2="high:Q"))
    return drawn(band_height(texts(rows, "method"), 34 if search == "dirty_rate" else 48), *layers)


def _rows(result: Result, found: list[Frontier], search: str) -> list[Datum]:
    rows: list[Datum] = [
        {
            "method": run.method,
            "series": _outcome(run.attempt),
            "value": scaled(search, run.attempt.value),
            "big": False,
        }
        for run in result.runs
        if run.attempt is not None and run.attempt.search == search and run.attempt.converged is not None
    ]
    rows += [_mark(each, _CONVERGED, each.converged_at) for each in found if each.converged_at is not None]
    if search == "downtime_limit":
        rows += [_mark(each, _STOOD, value) | {"big": False} for each in found for value in each.downtimes_s]
        rows += [_mark(each, _STOOD, median(each.downtimes_s)) for each in found if each.downtimes_s]
    return rows


def _outcome(attempt: Attempt) -> str:
    if attempt.converged:
        return _CONVERGED
    return _SLOW if attempt.guest_limited else _NOT


def _mark(frontier: Frontier, series: str, value: float) -> Datum:
    return {"method": frontier.method, "series": series, "value": scaled(frontier.search, value), "big": True}


def _brackets(found: list[Frontier]) -> list[Datum]:
    """From where a method converged to where it did not; none of those that lack an end."""
    return [
        {
            "method": each.method,
            "series": _CONVERGED,
            "row": "limit",
            "low": scaled(each.search, each.converged_at),
            "high": scaled(each.search, each.failed_at),
        }
        for each in found
        if each.converged_at and each.failed_at
    ]
