"""The frontiers of several results against the link's bandwidth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import altair as alt

from harness.results.result import Result
from harness.results.search import Frontier
from reports.drawing.chart import Chart, finished
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, tooltips
from reports.drawing.searches import AXIS, scaled
from reports.drawing.theme import value_scale
from reports.facts import bandwidth_text, baseline_name, delay_of, distance_text, joined


def charts(results: Sequence[Result]) -> tuple[Chart, ...]:
    """None unless at least two of the results searched."""
    searching = [result for result in results if result.frontiers]
    if len(searching) < 2:
        return ()
    made = [(key, title, caption, draw(searching)) for key, title, caption, draw in _CHARTS]
    return tuple(finished(key, title, caption, spec) for key, title, caption, spec in made if spec is not None)


def by_bandwidth(results: Sequence[Result], search: str) -> Spec | None:
    """A line per method through the links: where it converged, with the bracket's other end as an error bar."""
    rows: list[Datum] = [
        {
            **who,
            "value": scaled(search, each.converged_at),
            "other": None if each.failed_at is None else scaled(search, each.failed_at),
        }
        for who, each in _found(results, search)
        if each.converged_at is not None
    ]
    return _lines(results, rows, AXIS[search])


def observed_by_bandwidth(results: Sequence[Result]) -> Spec | None:
    """A line per method through the links: median and range of STOP to RESUME at the lowest limit that converged."""
    rows: list[Datum] = []
    for who, each in _found(results, "downtime_limit"):
        if each.downtimes_s:
            ends = (median(each.downtimes_s), max(each.downtimes_s), min(each.downtimes_s))
            middle, high, low = (scaled("downtime_limit", value) for value in ends)
            rows.append({**who, "value": middle, "other": high, "from": low})
    return _lines(results, rows, "STOP to RESUME (ms)")


_CONVERGED = "Where most runs of each method converged; the line ends where most did not."
_CHARTS: tuple[tuple[str, str, str, Callable[[Sequence[Result]], Spec | None]], ...] = (
    (
        "dirty-rate-by-link",
        "The highest dirty rate that converges, by link",
        f"{_CONVERGED} Higher is better.",
        partial(by_bandwidth, search="dirty_rate"),
    ),
    (
        "downtime-limit-by-link",
        "The lowest downtime limit that converges, by link",
        f"{_CONVERGED} Lower is better.",
        partial(by_bandwidth, search="downtime_limit"),
    ),
    (
        "downtime-by-link",
        "Downtime at the lowest limit that converges, by link",
        "Median of the runs at that limit, from the source's STOP to the destination's RESUME; lines are their range.",
        observed_by_bandwidth,
    ),
)


def _found(results: Sequence[Result], search: str) -> list[tuple[Datum, Frontier]]:
    return [
        ({"method": each.method, "link": _link(result)}, each)
        for result in sorted(results, key=_order)
        for each in result.frontiers
        if each.search == search
    ]


def _order(result: Result) -> tuple[float, tuple[float, float]]:
    bandwidth = (result.scenario.get("link") or {}).get("bandwidth_bytes_per_s")
    return float("inf") if bandwidth is None else float(bandwidth), delay_of(result)


def _link(result: Result) -> str:
    return joined(bandwidth_text(result), distance_text(result))


def _lines(results: Sequence[Result], rows: Sequence[Datum], title: str) -> Spec | None:
    if not rows:
        return None
    # Every method has one colour in every chart, drawn there or not.
    names = list(dict.fromkeys(each.method for result in results for each in result.frontiers))
    links = list(dict.fromkeys(_link(result) for result in sorted(results, key=_order)))
    ends = [row[key] for row in rows for key in ("value", "other", "from") if row.get(key) is not None]
    base = next((name for result in results if (name := baseline_name(result)) is not None), None)
    look: dict[str, Any] = {
        "x": alt.X("link:N", title="Link", sort=links, scale=alt.Scale(domain=links), axis=alt.Axis(labelAngle=0)),
        "xOffset": alt.XOffset("method:N", sort=names),
        "color": colour("method", names, base),
    }
    bars = data([{**row, "start": row.get("from", row["value"])} for row in rows if row["other"] is not None])
    known = tooltips(("method:N",), ("link:N",), ("value:Q", title), ("other:Q", "other end"))
    return drawn(
        330,
        bars.mark_rule(strokeWidth=2, opacity=0.7).encode(**look, y=alt.Y("start:Q"), y2="other:Q"),
        points(rows, 90).encode(
            **look,
            y=alt.Y("value:Q", title=title, scale=value_scale(ends)),
            shape=shape("method", names),
            tooltip=known,
        ),
    )
