"""What the source QEMU was told about its downtime over time. As ``runs`` says.

Entries come from a file: one without a time or a value is passed over.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result, Run
from harness.units import MIB
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, texts, tooltips
from reports.effects import counted_methods
from reports.numbers import finite
from reports.run.stops import median_steered

PARAMETERS = {"downtime-limit": ("ms", 1.0), "avail-switchover-bandwidth": ("MiB/s", 1 / MIB)}
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
                row[name.partition("_bytes")[0]] = float(f"{known / MIB:.4g}")
        rows.append(row)
    if rows:
        rows.append({**rows[-1], "s": round(max(run.total_time_s or 0.0, rows[-1]["s"]), 4), "end": True})
    return rows


def steered(result: Result, parameter: str) -> Spec | None:
    """Each method's median run, of those that were steered by ``parameter``."""
    rows: list[Datum] = []
    for method in counted_methods(result):
        run = median_steered(result, method)
        rows += [] if run is None else _rows(method, run, parameter)
    if not rows:
        return None
    names = texts(rows, "method")
    look: dict[str, Any] = {
        "x": alt.X("s:Q", title="Time since QEMU connected (s)"),
        "y": alt.Y("value:Q", title=f"{parameter} ({PARAMETERS[parameter][0]})", scale=alt.Scale(zero=True, nice=True)),
        "color": colour("method", names),
    }
    known = tooltips(
        ("method:N",),
        ("s:Q", "", ".2f"),
        ("value:Q", parameter, ",.4~g"),
        ("delivered:Q", "delivered MiB/s", ",.4~g"),
        ("in_flight:Q", "under way MiB", ",.3~g"),
        ("left:Q", "may be left MiB", ",.3~g"),
    )
    line = data(rows).mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.75)
    changes = points([row for row in rows if "end" not in row], 60)
    return drawn(260, line.encode(**look), changes.encode(**look, shape=shape("method", names), tooltip=known))
