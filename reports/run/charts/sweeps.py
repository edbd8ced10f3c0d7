"""Altair charts of scenarios that sweep threads, or codecs and levels. Siblings of ``runs``, with the same rules."""

from __future__ import annotations

from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.theme import HEAT_INK, HEAT_RANGE, colour_scale, shape_scale, value_scale
from reports.effects import summary_of
from reports.facts import declared_methods, family
from reports.run.charts.runs import Datum, Spec, data, texts
from reports.run.grid import Grid, throughput_mb_per_s

__all__ = ["heat", "ratio_and_speed"]


def heat(grid: Grid) -> Spec:
    """Throughput by both thread counts; a frame where fewer decompression threads would have cost more than 5 %."""
    speeds = [point.mb_per_s for point in grid.points]
    low, span = min(speeds), (max(speeds) - min(speeds)) or 1.0
    rows: list[Datum] = [
        {
            "threads": p.threads,
            "decompress": p.decompress_threads,
            "mb_s": round(p.mb_per_s, 1),
            "ms": round(p.total_time_s * 1e3, 1),
            "ink": HEAT_INK[(p.mb_per_s - low) / span > 0.65],
            "enough": p.enough,
        }
        for p in grid.points
    ]
    look: dict[str, Any] = {
        "x": alt.X("decompress:O", title="Decompression threads", axis=alt.Axis(labelAngle=0)),
        "y": alt.Y("threads:O", title="Compression threads", sort="descending"),
    }
    colour = alt.Color("mb_s:Q", scale=alt.Scale(range=list(HEAT_RANGE)), legend=None)
    known = [
        alt.Tooltip("threads:O"),
        alt.Tooltip("decompress:O"),
        alt.Tooltip("mb_s:Q", title="MB/s"),
        alt.Tooltip("ms:Q", title="total ms"),
    ]
    framed = [row for row in rows if row["enough"]]
    label = alt.Text("mb_s:Q", format=",.0f")
    texts_of_ink = [
        alt.Chart(data([row for row in rows if row["ink"] == ink]))
        .mark_text(fontSize=12, color=ink)
        .encode(**look, text=label)
        for ink in HEAT_INK
        if any(row["ink"] == ink for row in rows)
    ]
    return (
        alt.layer(
            alt.Chart(data(rows)).mark_rect().encode(**look, color=colour, tooltip=known),
            alt.Chart(data(framed)).mark_rect(fillOpacity=0, stroke="var(--c2, #b4540a)", strokeWidth=3).encode(**look),
            *texts_of_ink,
        )
        .properties(height=40 * len(texts(rows, "threads")))
        .to_dict()
    )


def ratio_and_speed(result: Result) -> Spec | None:
    """Throughput against ratio: a line per backend through its levels."""
    rows: list[Datum] = []
    for name, method in declared_methods(result).items():
        ratio, speed = summary_of(result, name, "ratio"), throughput_mb_per_s(result, name)
        if ratio and speed is not None:
            level = method.get("level")
            backend = family(name, method)
            rows.append(
                {
                    "series": backend,
                    "method": name,
                    "level": level or 0,
                    "label": "" if level is None else str(level),
                    "ratio": round(ratio.median, 4),
                    "mb_s": round(speed, 2),
                }
            )
    if not rows:
        return None
    names = texts(rows, "series")
    look: dict[str, Any] = {
        "x": alt.X("ratio:Q", title="Wire ratio", scale=alt.Scale(zero=False, nice=True)),
        "y": alt.Y("mb_s:Q", title="Stream (MB/s)", scale=value_scale([row["mb_s"] for row in rows])),
        "color": alt.Color("series:N", scale=colour_scale(names), legend=alt.Legend(title=None)),
    }
    known = [alt.Tooltip("method:N"), alt.Tooltip("ratio:Q"), alt.Tooltip("mb_s:Q", title="MB/s", format=",.0f")]
    base = alt.Chart(data(rows))
    shape = alt.Shape("series:N", scale=shape_scale(names), legend=alt.Legend(title=None))
    return (
        alt.layer(
            base.mark_line(strokeWidth=1.5, opacity=0.6).encode(**look, order="level:Q"),
            base.mark_point(filled=True, opacity=1, size=90).encode(**look, shape=shape, tooltip=known),
            base.mark_text(dx=9, dy=-8, fontSize=11).encode(x=look["x"], y=look["y"], text="label:N"),
        )
        .properties(height=340)
        .to_dict()
    )
