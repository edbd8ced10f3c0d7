"""What one result's runs look like drawn: time against bytes, progress, downtime, and the memory's classes.

A chart is a spec without width or theme; ``None``: there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from harness.results.result import Result, Sample
from harness.units import MIB
from reports.drawing.parts import (
    Datum,
    Spec,
    band_height,
    bands,
    colour,
    dash,
    data,
    drawn,
    points,
    shape,
    texts,
    tooltips,
)
from reports.drawing.theme import value_scale
from reports.effects import counted_methods, counted_runs, medians_run, summary_of
from reports.facts import baseline_name, declared_methods, family
from reports.numbers import finite

_MOST_SERIES = 10
_MOST_POINTS = 240  # of a line: more than half a screen has pixels for
_ALL_POINTS = 3000  # of all lines: what keeps a page with many methods small
_RATIOS = {"declared": "declared_ratio", "measured": "ratio"}
"""By series: what ``harness.streams.memory`` calls it."""
DOWNTIMES = {"downtime_s": "STOP to RESUME", "downtime_reported_s": "QEMU's own claim", "heartbeat_gap_s": "the guest"}
"""By metric: who sees it so."""


def _series(result: Result) -> dict[str, str]:
    """The series that each method is drawn in: its own, or its backend's where there are too many to tell apart."""
    methods = counted_methods(result)
    if len(methods) <= _MOST_SERIES:
        return {name: name for name in methods}
    declared = declared_methods(result)
    return {name: family(name, declared.get(name, {})) for name in methods}


def time_and_bytes(result: Result) -> Spec | None:
    """Every counted run as a small mark, each method's medians as a large one."""
    series = _series(result)
    runs: list[Datum] = [
        {"series": series[m], "method": m, "repeat": r.repeat, "mib": round(r.wire_bytes / MIB, 3), "ms": _ms(r.total_time_s)}
        for m in series
        for r in counted_runs(result, m)
        if r.wire_bytes is not None and r.total_time_s is not None
    ]  # fmt: skip
    if not runs:
        return None
    medians: list[Datum] = [
        {"series": series[m], "method": m, "mib": round(wire.median / MIB, 3), "ms": _ms(time.median)}
        for m in series
        if (wire := summary_of(result, m, "wire_bytes")) and (time := summary_of(result, m, "total_time_s"))
    ]
    names = list(dict.fromkeys(series.values()))
    look: dict[str, Any] = {
        "color": colour("series", names, baseline_name(result)),
        "shape": shape("series", names),
        "x": alt.X("mib:Q", title="Wire (MiB)", scale=value_scale([row["mib"] for row in runs])),
        "y": alt.Y("ms:Q", title="Total time (ms)", scale=value_scale([row["ms"] for row in runs])),
    }
    known = tooltips(("method:N",), ("ms:Q", "total ms", ",.0f"), ("mib:Q", "MiB", ",.1f"))
    return drawn(
        330,
        points(runs, 45, 0.45).encode(**look, tooltip=[*known, alt.Tooltip("repeat:Q")]),
        points(medians, 190, edge=1.5).encode(**look, tooltip=known),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 2)


def downtime(result: Result) -> Spec | None:
    """Downtime as three parties see it: every run, the median and its interval."""
    runs: list[Datum] = []
    medians: list[Datum] = []
    for method in counted_methods(result):
        for field, label in DOWNTIMES.items():
            who = {"method": method, "series": label}
            found = [v for r in counted_runs(result, method) if (v := getattr(r, field)) is not None]
            runs += [{**who, "ms": _ms(v)} for v in found]
            summary = summary_of(result, method, field)
            if found and summary:
                low, high = map(_ms, summary.ci95)
                medians.append({**who, "ms": _ms(summary.median), "low": low, "high": high})
    if not runs:
        return None
    labels = [label for label in DOWNTIMES.values() if any(row["series"] == label for row in runs)]
    look: dict[str, Any] = {
        "y": bands("method", counted_methods(result)),
        "yOffset": alt.YOffset("series:N", sort=labels),
        "color": colour("series", labels),
    }
    marks: dict[str, Any] = {
        **look,
        "x": alt.X("ms:Q", title="Downtime (ms)", scale=value_scale([row["ms"] for row in runs])),
        "shape": shape("series", labels),
        "tooltip": tooltips(("method:N",), ("series:N", "seen by"), ("ms:Q", "", ",.1f")),
    }
    intervals = data(medians).mark_rule(strokeWidth=2, opacity=0.6)
    return drawn(
        band_height(texts(runs, "method"), 16 * len(labels) + 8),
        intervals.encode(**look, x=alt.X("low:Q"), x2="high:Q"),
        points(runs, 28, 0.4).encode(**marks),
        points(medians, 110).encode(**marks),
    )


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
    """About ``most`` of them, evenly, the last one too."""
    step = max(1, -(-len(samples) // most))
    return [sample for index, sample in enumerate(samples) if index % step == 0 or index == len(samples) - 1]


def progress(result: Result) -> Spec | None:
    """Bytes on the wire over time of each method's median run; a mark where QEMU began another pass over memory."""
    series = _series(result)
    most = min(_MOST_POINTS, max(8, _ALL_POINTS // max(1, len(series))))
    lines: list[Datum] = []
    marks: list[Datum] = []
    for method in series:
        run = medians_run(counted_runs(result, method))
        if run is None or not run.samples:
            continue
        who = {"method": method, "series": series[method]}
        lines += [who | _sampled(sample) for sample in thinned(run.samples, most)]
        for before, after in zip(run.samples, run.samples[1:], strict=False):
            if after.passes is not None and after.passes > (before.passes or 0):
                marks.append(who | _sampled(after) | {"pass": after.passes})
    if not lines:
        return None
    names = texts(lines, "series")
    look: dict[str, Any] = {
        "x": alt.X("s:Q", title="Time since the start (s)"),
        "y": alt.Y("mib:Q", title="Wire (MiB)"),
        "color": colour("series", names, baseline_name(result)),
    }
    layers = [
        data(lines).mark_line(interpolate="linear").encode(**look, strokeDash=dash("series", names), detail="method:N")
    ]
    if marks:
        known = tooltips(("method:N",), ("pass:Q", "pass begins"), ("s:Q", "", ".2f"), ("mib:Q", "MiB", ",.1f"))
        layers.append(points(marks, 55, edge=1).encode(**look, shape=shape("series", names), tooltip=known))
    return drawn(320, *layers)


def _sampled(sample: Sample) -> Datum:
    return {"s": round(sample.t_s, 4), "mib": round(sample.wire_bytes / MIB, 3)}


def classes(result: Result) -> Spec | None:
    """Per page class: the declared zlib-1 ratio and the one that was measured."""
    rows: list[Datum] = []
    for name, entry in result.memory_classes.items():
        share = finite(entry.get("share"))
        label = name if share is None else f"{name} ({share:.0%})"
        found = [(word, finite(entry.get(key))) for word, key in _RATIOS.items()]
        rows += [{"class": label, "series": word, "ratio": round(r, 4)} for word, r in found if r is not None]
    if not rows:
        return None
    names = texts(rows, "series")
    scale = value_scale([row["ratio"] for row in rows])
    marks = points(rows, 120).encode(
        y=alt.Y("class:N", title=None, sort=None, axis=alt.Axis(grid=True)),
        yOffset=alt.YOffset("series:N", sort=names),
        x=alt.X("ratio:Q", title="zlib level 1 ratio, page by page", scale=scale),
        color=colour("series", names, "declared"),
        shape=shape("series", names),
        tooltip=tooltips(("class:N",), ("series:N", "ratio"), ("ratio:Q", "", ".3f")),
    )
    return drawn(band_height(texts(rows, "class"), 42), marks)
