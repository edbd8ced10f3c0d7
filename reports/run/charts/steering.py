"""Altair charts of what the source QEMU was told about its downtime over time. Siblings of ``runs``, with the same rules.

Entries come from a file: one without a time or a value is passed over.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result, Run
from reports.drawing.theme import colour_scale, shape_scale
from reports.effects import counted_runs, medians_run
from reports.numbers import finite
from reports.run.charts.runs import Datum, Spec, counted_methods, data, texts

__all__ = ["PARAMETERS", "steered"]

PARAMETERS = {"downtime-limit": ("ms", 1.0), "avail-switchover-bandwidth": ("MB/s", 1e-6)}
"""Unit in which each is drawn, and the factor to it."""


def _rows(method: str, run: Run, parameter: str) -> list[Datum]:
    """A point per change, and one at the end of the run, until when the last one held."""
    rows: list[Datum] = []
    for entry in run.steering:
        at_s, value = finite(entry.get("at_s")), finite(entry.get("value"))
        if entry.get("parameter") != parameter or at_s is None or value is None:
            continue
        row: Datum = {"method": method, "s": round(at_s, 4), "value": float(f"{value * PARAMETERS[parameter][1]:.4g}")}
        for name in ("delivered_bytes_per_s", "in_flight_bytes", "left_bytes"):
            if (known := finite(entry.get(name))) is not None:
                row[name.partition("_bytes")[0]] = float(f"{known / 1e6:.4g}")
        rows.append(row)
    if rows:
        rows.append({**rows[-1], "s": round(max(run.total_time_s or 0.0, rows[-1]["s"]), 4), "end": True})
    return rows


def steered(result: Result, parameter: str) -> Spec | None:
    """Each method's median run, of those that were steered by ``parameter``."""
    rows: list[Datum] = []
    for method in counted_methods(result):
        run = medians_run([run for run in counted_runs(result, method) if run.steering])
        rows += [] if run is None else _rows(method, run, parameter)
    if not rows:
        return None
    names = texts(rows, "method")
    look: dict[str, Any] = {
        "x": alt.X("s:Q", title="Time since QEMU connected (s)"),
        "y": alt.Y("value:Q", title=f"{parameter} ({PARAMETERS[parameter][0]})", scale=alt.Scale(zero=True, nice=True)),
        "color": alt.Color("method:N", scale=colour_scale(names), legend=alt.Legend(title=None)),
    }
    known = [
        alt.Tooltip("method:N"),
        alt.Tooltip("s:Q", format=".2f"),
        alt.Tooltip("value:Q", title=parameter, format=",.4~g"),
        alt.Tooltip("delivered:Q", title="delivered MB/s", format=",.4~g"),
        alt.Tooltip("in_flight:Q", title="under way MB", format=",.3~g"),
        alt.Tooltip("left:Q", title="may be left MB", format=",.3~g"),
    ]
    line = alt.Chart(data(rows)).mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.75)
    points = alt.Chart(data([row for row in rows if "end" not in row])).mark_point(filled=True, opacity=1, size=60)
    shape = alt.Shape("method:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    return (
        alt.layer(line.encode(**look), points.encode(**look, shape=shape, tooltip=known))
        .properties(height=260)
        .to_dict()
    )
