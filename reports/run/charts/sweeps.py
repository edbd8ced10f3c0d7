"""Scenarios that sweep threads, or codecs and levels, drawn. As ``runs`` says."""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result
from harness.units import MIB
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, texts, tooltips
from reports.drawing.theme import FRAME, HEAT_INK, HEAT_RANGE, value_scale
from reports.effects import median_of, throughput_bytes_per_s
from reports.facts import declared_methods, family
from reports.run.grid import Grid


def heat_map(grid: Grid) -> Spec:
    """Throughput by both thread counts; a frame where fewer decompression threads would have cost more than 5 %."""
    speeds = [point.mib_per_s for point in grid.points]
    low, span = min(speeds), (max(speeds) - min(speeds)) or 1.0
    rows: list[Datum] = [
        {
            "threads": p.threads,
            "decompress": p.decompress_threads,
            "mib_s": round(p.mib_per_s, 1),
            "ms": round(p.total_time_s * 1e3, 1),
            "ink": HEAT_INK[(p.mib_per_s - low) / span > 0.65],
            "enough": p.enough,
        }
        for p in grid.points
    ]
    look: dict[str, Any] = {
        "x": alt.X("decompress:O", title="Decompression threads", axis=alt.Axis(labelAngle=0)),
        "y": alt.Y("threads:O", title="Compression threads", sort="descending"),
    }
    heat = alt.Color("mib_s:Q", scale=alt.Scale(range=list(HEAT_RANGE)), legend=None)
    known = tooltips(("threads:O",), ("decompress:O",), ("mib_s:Q", "MiB/s"), ("ms:Q", "total ms"))
    framed = data([row for row in rows if row["enough"]]).mark_rect(fillOpacity=0, stroke=FRAME, strokeWidth=3)
    inked = [(ink, mine) for ink in HEAT_INK if (mine := [row for row in rows if row["ink"] == ink])]
    figures = [data(mine).mark_text(fontSize=12, color=ink) for ink, mine in inked]
    return drawn(
        40 * len(texts(rows, "threads")),
        data(rows).mark_rect().encode(**look, color=heat, tooltip=known),
        framed.encode(**look),
        *[each.encode(**look, text=alt.Text("mib_s:Q", format=",.0f")) for each in figures],
    )


def ratio_and_speed(result: Result) -> Spec | None:
    """Throughput against ratio: a line per backend through its levels."""
    rows: list[Datum] = []
    for name, method in declared_methods(result).items():
        ratio, speed = median_of(result, name, "ratio"), throughput_bytes_per_s(result, name)
        if ratio is not None and speed is not None:
            level = method.get("level")
            rows.append(
                {
                    "series": family(name, method),
                    "method": name,
                    "level": level or 0,
                    "label": "" if level is None else str(level),
                    "ratio": round(ratio, 4),
                    "mib_s": round(speed / MIB, 2),
                }
            )
    if not rows:
        return None
    names = texts(rows, "series")
    look: dict[str, Any] = {
        "x": alt.X("ratio:Q", title="Wire ratio", scale=alt.Scale(zero=False, nice=True)),
        "y": alt.Y("mib_s:Q", title="Stream (MiB/s)", scale=value_scale([row["mib_s"] for row in rows])),
        "color": colour("series", names),
    }
    known = tooltips(("method:N",), ("ratio:Q",), ("mib_s:Q", "MiB/s", ",.0f"))
    base = data(rows)
    return drawn(
        340,
        base.mark_line(strokeWidth=1.5, opacity=0.6).encode(**look, order="level:Q"),
        points(rows, 90).encode(**look, shape=shape("series", names), tooltip=known),
        base.mark_text(dx=9, dy=-8, fontSize=11).encode(x=look["x"], y=look["y"], text="label:N"),
    )
