"""Altair charts of stacked bars, one per method: CPU time, CPU time per GiB, and what an offloaded batch waited for.

Siblings of ``runs``, with the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import altair as alt

from harness.results.result import Result
from reports.drawing.theme import colour_scale
from reports.effects import counted_runs, cpu_per_gib_metric, gib_carried
from reports.run.charts.runs import Datum, Spec, band_height, counted_methods, data, texts
from reports.run.offload import PHASES, phases

__all__ = ["cpu", "cpu_per_gib", "offload"]

_CPU = (
    ("source_qemu", "source QEMU"),
    ("sender", "sender"),
    ("receiver", "receiver"),
    ("destination_qemu", "destination QEMU"),
)
_SOURCE = _CPU[:2]


def _bars(result: Result, rows: Sequence[Datum], labels: Sequence[str], title: str, unit: str) -> alt.Chart:
    """``rows``: method, series, order and the ``value``. ``labels``: the series in their stacked order."""
    shown = [label for label in labels if any(row["series"] == label for row in rows)]
    bars: alt.Chart = (
        alt.Chart(data(rows))
        .mark_bar(stroke="var(--paper, #fff)", strokeWidth=1)
        .encode(
            y=alt.Y("method:N", title=None, sort=counted_methods(result), scale=alt.Scale(padding=0.35)),
            x=alt.X("value:Q", title=title, stack="zero"),
            color=alt.Color("series:N", scale=colour_scale(shown), legend=alt.Legend(title=None)),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("method:N"),
                alt.Tooltip("series:N", title="part"),
                alt.Tooltip("value:Q", title=unit, format=".3~g"),
            ],
        )
    )
    return bars


def _height(rows: Sequence[Datum]) -> dict[str, Any]:
    return {"height": band_height(texts(rows, "method"), 44)}


def cpu(result: Result) -> Spec | None:
    """Median CPU seconds per process, stacked in the order in which a page passes them."""
    rows: list[Datum] = []
    for method in counted_methods(result):
        for order, (field, label) in enumerate(_CPU):
            seconds = [v for r in counted_runs(result, method) if (v := getattr(r.cpu_s, field)) is not None]
            if seconds:
                rows.append({"method": method, "series": label, "order": order, "value": round(median(seconds), 4)})
    if not rows:
        return None
    labels = [label for _, label in _CPU]
    bars = _bars(result, rows, labels, "CPU time (s), median per process", "CPU s")
    spec: Spec = bars.properties(**_height(rows)).to_dict()
    return spec


def cpu_per_gib(result: Result) -> Spec | None:
    """The source's CPU seconds per GiB: medians of QEMU and sender, stacked, and every run's sum as a dot."""
    rows: list[Datum] = []
    dots: list[Datum] = []
    for method in counted_methods(result):
        found = [(run, gib) for run in counted_runs(result, method) if (gib := gib_carried(result, run))]
        spent = [{field: getattr(run.cpu_s, field) for field, _ in _SOURCE} for run, _ in found]
        for order, (field, label) in enumerate(_SOURCE):
            each = [s[field] / gib for s, (_, gib) in zip(spent, found, strict=True) if s[field] is not None]
            if each:
                rows.append({"method": method, "series": label, "order": order, "value": round(median(each), 4)})
        for seconds, (run, gib) in zip(spent, found, strict=True):
            known = [value for value in seconds.values() if value is not None]
            if known:
                dots.append({"method": method, "repeat": run.repeat, "value": round(sum(known) / gib, 4)})
    if not rows:
        return None
    title = cpu_per_gib_metric(result).heading
    bars = _bars(result, rows, [label for _, label in _SOURCE], title, "CPU s per GiB")
    points = (
        alt.Chart(data(dots))
        .mark_point(filled=True, opacity=0.75, size=32, color="var(--ink, #1b2430)", stroke="var(--paper, #fff)")
        .encode(
            y=alt.Y("method:N", sort=counted_methods(result)),
            x=alt.X("value:Q"),
            tooltip=[
                alt.Tooltip("method:N"),
                alt.Tooltip("repeat:Q"),
                alt.Tooltip("value:Q", title="CPU s per GiB", format=".3~g"),
            ],
        )
    )
    return alt.layer(bars, points).properties(**_height(rows)).to_dict()


def offload(result: Result) -> Spec | None:
    """What one batch of each device method waited for, in milliseconds, in the order in which it happens."""
    rows: list[Datum] = [
        {"method": method, "series": phase.label, "order": order, "value": round(phase.ms, 4)}
        for method in counted_methods(result)
        for order, phase in enumerate(phases(result, method))
    ]
    if not rows:
        return None
    labels = [label for _, label in PHASES]
    bars = _bars(result, rows, labels, "Time of one batch (ms)", "ms")
    spec: Spec = bars.properties(**_height(rows)).to_dict()
    return spec
