"""Stacked bars, one per method: CPU time, CPU time per GiB, and what an offloaded batch waited for. As ``runs`` says."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import altair as alt

from harness.results.result import Result
from reports.drawing.parts import Datum, Spec, band_height, bands, colour, data, drawn, texts, tooltips
from reports.drawing.theme import INK, PAPER
from reports.effects import counted_methods, counted_runs, cpu_per_gib_metric, gib_carried
from reports.run.offload import PHASES, phases

_CPU = (
    ("source_qemu", "source QEMU"),
    ("sender", "sender"),
    ("receiver", "receiver"),
    ("destination_qemu", "destination QEMU"),
)
_SOURCE = _CPU[:2]
_LEAST_NUMBERED = 0.035
"""Of the longest bar: a narrower part has no room for its number."""


def _stacked(
    result: Result, rows: Sequence[Datum], parts: Sequence[tuple[str, str]], title: str, unit: str, *above: alt.Chart
) -> Spec | None:
    """``rows``: method, series, order and the ``value``. ``parts``: the series' labels in their stacked order, last of each."""
    if not rows:
        return None
    shown = [label for _, label in parts if any(row["series"] == label for row in rows)]
    rows, shown = _numbered(rows, shown), [f"{number} {label}" for number, label in enumerate(shown, 1)]
    known = tooltips(("method:N",), ("series:N", "part"), ("value:Q", unit, ".3~g"))
    bars = data(rows).mark_bar(stroke=PAPER, strokeWidth=1)
    stacked = bars.encode(
        y=bands("method", counted_methods(result), 0.35),
        x=alt.X("value:Q", title=title, stack="zero"),
        color=colour("part", shown),
        order=alt.Order("order:Q"),
        tooltip=known,
    )
    sums = [sum(row["value"] for row in rows if row["method"] == method) for method in counted_methods(result)]
    wide = data([row for row in rows if row["value"] >= _LEAST_NUMBERED * max(sums)])
    place = {"y": alt.Y("method:N", sort=counted_methods(result)), "x": alt.X("middle:Q"), "text": "number:N"}
    numbers = [
        wide.mark_text(fontWeight=700, stroke=PAPER, strokeWidth=3).encode(**place),
        wide.mark_text(fontWeight=700).encode(**place, tooltip=known),
    ]
    return drawn(band_height(texts(rows, "method"), 44), stacked, *numbers, *above)


def _numbered(rows: Sequence[Datum], shown: Sequence[str]) -> list[Datum]:
    """With each part's number, which its label begins with, and the middle of its bar: grey prints tell parts apart by it."""
    ends: dict[str, float] = {}
    found = []
    for row in rows:
        start = ends.get(row["method"], 0.0)
        ends[row["method"]] = start + row["value"]
        number = shown.index(row["series"]) + 1
        more = {"part": f"{number} {row['series']}", "number": str(number), "middle": start + row["value"] / 2}
        found.append({**row, **more})
    return found


def cpu(result: Result) -> Spec | None:
    """Median CPU seconds per process, stacked in the order in which a page passes them."""
    rows: list[Datum] = []
    for method in counted_methods(result):
        for order, (field, label) in enumerate(_CPU):
            seconds = [v for r in counted_runs(result, method) if (v := getattr(r.cpu_s, field)) is not None]
            if seconds:
                rows.append({"method": method, "series": label, "order": order, "value": round(median(seconds), 4)})
    return _stacked(result, rows, _CPU, "CPU time (s), median per process", "CPU s")


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
    unit = "CPU s per GiB"
    each_run = data(dots).mark_point(filled=True, opacity=0.75, size=32, color=INK, stroke=PAPER)
    sums = each_run.encode(
        y=alt.Y("method:N", sort=counted_methods(result)),
        x=alt.X("value:Q"),
        tooltip=tooltips(("method:N",), ("repeat:Q",), ("value:Q", unit, ".3~g")),
    )
    return _stacked(result, rows, _SOURCE, cpu_per_gib_metric(result).heading, unit, sums)


def offload(result: Result) -> Spec | None:
    """What one batch of each device method waited for, in milliseconds, in the order in which it happens."""
    rows: list[Datum] = [
        {"method": method, "series": phase.label, "order": order, "value": round(phase.ms, 4)}
        for method in counted_methods(result)
        for order, phase in enumerate(phases(result, method))
    ]
    return _stacked(result, rows, PHASES, "Time of one batch (ms)", "ms")
