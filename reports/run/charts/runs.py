"""Altair charts of one result as Vega-Lite specs without width or theme: what is drawn against what. ``None``: nothing to draw.

Numbers are rounded for drawing only; the tables and the raw JSON keep them whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from harness.results.result import Result, Sample
from reports.drawing.theme import colour_scale, shape_scale, value_scale
from reports.effects import counted_runs, medians_run, method_names, summary_of
from reports.facts import baseline_name, declared_methods, family

__all__ = [
    "Datum",
    "Spec",
    "band_height",
    "classes",
    "counted_methods",
    "data",
    "downtime",
    "progress",
    "texts",
    "time_and_bytes",
]

Datum = dict[str, Any]
Spec = dict[str, Any]
_MOST_SERIES = 10
_ROOMY_BANDS = 10
_MOST_POINTS = 240  # of a line: more than half a screen has pixels for
_ALL_POINTS = 3000  # of all lines: what keeps a page with many methods small
_MB = 1e6
_DOWNTIMES = (
    ("downtime_s", "STOP to RESUME"),
    ("downtime_reported_s", "QEMU's own claim"),
    ("heartbeat_gap_s", "the guest's silence"),
)


def data(rows: Sequence[Datum]) -> alt.InlineData:
    """Rows as a chart's inline data."""
    return alt.InlineData(values=list(rows))


def texts(rows: Sequence[Datum], field: str) -> list[str]:
    """The distinct texts of ``field``, in their order."""
    return list(dict.fromkeys(str(row[field]) for row in rows))


def band_height(bands: Sequence[str], pixels: int) -> int:
    """The height of a chart with a band of so many pixels each. Not Vega's own step: it does not go with a fluid width."""
    return max(2, len(bands)) * (pixels if len(bands) <= _ROOMY_BANDS else max(15, pixels // 2))


def counted_methods(result: Result) -> list[str]:
    """Methods with a counted run: what there is to draw."""
    return [name for name in method_names(result) if counted_runs(result, name)]


def _series(result: Result) -> dict[str, str]:
    """The series that each method is drawn in: its own, or its backend's where there are too many to tell apart."""
    methods = counted_methods(result)
    if len(methods) <= _MOST_SERIES:
        return {name: name for name in methods}
    declared = declared_methods(result)
    return {name: family(name, declared.get(name, {})) for name in methods}


def _colour(result: Result, names: Sequence[str]) -> alt.Color:
    return alt.Color("series:N", scale=colour_scale(names, baseline_name(result)), legend=alt.Legend(title=None))


def _shape(names: Sequence[str]) -> alt.Shape:
    return alt.Shape("series:N", scale=shape_scale(names), legend=alt.Legend(title=None))


def time_and_bytes(result: Result) -> Spec | None:
    """Every counted run as a small mark, each method's medians as a large one."""
    series = _series(result)
    runs: list[Datum] = [
        {
            "series": series[m],
            "method": m,
            "repeat": r.repeat,
            "mb": round(r.wire_bytes / _MB, 3),
            "ms": round(r.total_time_s * 1e3, 2),
        }
        for m in series
        for r in counted_runs(result, m)
        if r.wire_bytes is not None and r.total_time_s is not None
    ]
    if not runs:
        return None
    medians = [
        {"series": series[m], "method": m, "mb": round(wire.median / _MB, 3), "ms": round(time.median * 1e3, 2)}
        for m in series
        if (wire := summary_of(result, m, "wire_bytes")) and (time := summary_of(result, m, "total_time_s"))
    ]
    names = list(dict.fromkeys(series.values()))
    x = alt.X("mb:Q", title="Wire (MB)", scale=value_scale([row["mb"] for row in runs]))
    y = alt.Y("ms:Q", title="Total time (ms)", scale=value_scale([row["ms"] for row in runs]))
    known = [
        alt.Tooltip("method:N"),
        alt.Tooltip("ms:Q", title="total ms", format=",.0f"),
        alt.Tooltip("mb:Q", title="MB", format=",.1f"),
    ]
    look: dict[str, Any] = {"color": _colour(result, names), "shape": _shape(names), "x": x, "y": y}
    small = alt.Chart(data(runs)).mark_point(filled=True, opacity=0.45, size=45)
    large = alt.Chart(data(medians)).mark_point(
        filled=True, opacity=1, size=190, stroke="var(--paper, #fff)", strokeWidth=1.5
    )
    return (
        alt.layer(
            small.encode(**look, tooltip=[*known, alt.Tooltip("repeat:Q")]),
            large.encode(**look, tooltip=known),
        )
        .properties(height=330)
        .to_dict()
    )


def downtime(result: Result) -> Spec | None:
    """Downtime as three parties see it: every run, the median and its interval."""
    runs: list[Datum] = []
    medians: list[Datum] = []
    for method in counted_methods(result):
        for field, label in _DOWNTIMES:
            found = [v for r in counted_runs(result, method) if (v := getattr(r, field)) is not None]
            runs += [{"method": method, "series": label, "ms": round(v * 1e3, 2)} for v in found]
            summary = summary_of(result, method, field)
            if found and summary:
                low, high = (round(bound * 1e3, 2) for bound in summary.ci95)
                medians.append(
                    {"method": method, "series": label, "ms": round(summary.median * 1e3, 2), "low": low, "high": high}
                )
    if not runs:
        return None
    labels = [label for _, label in _DOWNTIMES if any(row["series"] == label for row in runs)]
    look: dict[str, Any] = {
        "y": alt.Y("method:N", title=None, sort=counted_methods(result), axis=alt.Axis(grid=True, tickBand="extent")),
        "yOffset": alt.YOffset("series:N", sort=labels),
        "color": alt.Color("series:N", scale=colour_scale(labels), legend=alt.Legend(title=None)),
    }
    x = alt.X("ms:Q", title="Downtime (ms)", scale=value_scale([row["ms"] for row in runs]))
    known = [alt.Tooltip("method:N"), alt.Tooltip("series:N", title="seen by"), alt.Tooltip("ms:Q", format=",.1f")]
    shape = alt.Shape("series:N", scale=shape_scale(labels), legend=alt.Legend(title=None))
    return (
        alt.layer(
            alt.Chart(data(medians))
            .mark_rule(strokeWidth=2, opacity=0.6)
            .encode(**look, x=alt.X("low:Q"), x2="high:Q"),
            alt.Chart(data(runs))
            .mark_point(filled=True, opacity=0.4, size=28)
            .encode(**look, x=x, shape=shape, tooltip=known),
            alt.Chart(data(medians))
            .mark_point(filled=True, opacity=1, size=110)
            .encode(**look, x=x, shape=shape, tooltip=known),
        )
        .properties(height=band_height(texts(runs, "method"), 16 * len(labels) + 8))
        .to_dict()
    )


def thinned(samples: Sequence[Sample], most: int) -> list[Sample]:
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
        lines += [{**who, "s": round(s.t_s, 4), "mb": round(s.wire_bytes / _MB, 3)} for s in thinned(run.samples, most)]
        for before, after in zip(run.samples, run.samples[1:], strict=False):
            if after.passes is not None and after.passes > (before.passes or 0):
                marks.append(
                    {**who, "s": round(after.t_s, 4), "mb": round(after.wire_bytes / _MB, 3), "pass": after.passes}
                )
    if not lines:
        return None
    names = texts(lines, "series")
    look: dict[str, Any] = {
        "x": alt.X("s:Q", title="Time since the start (s)"),
        "y": alt.Y("mb:Q", title="Wire (MB)"),
        "color": _colour(result, names),
    }
    line = alt.Chart(data(lines)).mark_line(interpolate="linear").encode(**look, detail="method:N")
    known = [
        alt.Tooltip("method:N"),
        alt.Tooltip("pass:Q", title="pass begins"),
        alt.Tooltip("s:Q", format=".2f"),
        alt.Tooltip("mb:Q", title="MB", format=",.1f"),
    ]
    point = alt.Chart(data(marks)).mark_point(
        filled=True, opacity=1, size=55, stroke="var(--paper, #fff)", strokeWidth=1
    )
    layers = [line, point.encode(**look, shape=_shape(names), tooltip=known)] if marks else [line]
    return alt.layer(*layers).properties(height=320).to_dict()


def _figure(entry: Mapping[str, float], word: str) -> float | None:
    return next((float(value) for key, value in entry.items() if key.startswith(word)), None)


def classes(result: Result) -> Spec | None:
    """Per page class: the declared zlib-1 ratio and the one that was measured."""
    rows: list[Datum] = []
    for name, entry in result.memory_classes.items():
        share = _figure(entry, "share")
        label = name if share is None else f"{name} ({share:.0%})"
        for word in ("declared", "measured"):
            ratio = _figure(entry, word)
            if ratio is not None:
                rows.append({"class": label, "series": word, "ratio": round(ratio, 4)})
    if not rows:
        return None
    names = ["declared", "measured"]
    spec: Spec = (
        alt.Chart(data(rows))
        .mark_point(filled=True, opacity=1, size=120)
        .encode(
            y=alt.Y("class:N", title=None, sort=None, axis=alt.Axis(grid=True)),
            yOffset=alt.YOffset("series:N", sort=names),
            x=alt.X(
                "ratio:Q", title="zlib level 1 ratio, page by page", scale=value_scale([row["ratio"] for row in rows])
            ),
            color=alt.Color("series:N", scale=colour_scale(names, "declared"), legend=alt.Legend(title=None)),
            shape=alt.Shape("series:N", scale=shape_scale(names), legend=alt.Legend(title=None)),
            tooltip=[
                alt.Tooltip("class:N"),
                alt.Tooltip("series:N", title="ratio"),
                alt.Tooltip("ratio:Q", format=".3f"),
            ],
        )
        .properties(height=band_height(texts(rows, "class"), 42))
        .to_dict()
    )
    return spec
