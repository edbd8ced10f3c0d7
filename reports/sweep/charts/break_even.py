"""The break-even section of an index: a group's chart, its sentences, and the tables under it. No HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.advice_words import bound_text
from harness.results.result import Result
from harness.units import format_bandwidth
from reports.drawing import model_curves
from reports.numbers import amount, percent, plural, share_percent
from reports.run.charts import build as charts
from reports.sweep.break_even import Group, Point, groups

__all__ = ["METHOD_HEADINGS", "POINT_HEADINGS", "Section", "sections"]

METHOD_HEADINGS = ("Faster than none up to", "Wire ratio", "Ratio on the slowest link", "Without a limit (MB/s)")
POINT_HEADINGS = ("Link", "Measured (ms)", "Model (ms)", "Error", "n")
_HELD = 0.1


@dataclass(frozen=True, slots=True)
class Section:
    """One group. Rows begin with the method's name."""

    label: str
    sentences: tuple[str, ...]
    chart: charts.Chart
    methods: tuple[tuple[str, tuple[str, ...]], ...]
    points: tuple[tuple[str, tuple[str, ...]], ...]


def sections(results: Sequence[Result]) -> tuple[Section, ...]:
    """One for each group that the results have."""
    return tuple(_section(number, group) for number, group in enumerate(groups(results), 1))


def _section(number: int, group: Group) -> Section:
    others = [name for name in group.costs if name != group.none]
    return Section(
        label=group.label,
        sentences=_sentences(group),
        chart=_chart(number, group),
        methods=tuple((name, _method(group, name)) for name in others),
        points=tuple((point.method, _point(point)) for point in group.points),
    )


def _sentences(group: Group) -> tuple[str, ...]:
    worst = max(group.points, key=lambda point: abs(point.error))
    within = sum(error <= _HELD for error in group.errors)
    return (
        f"The model is off by {share_percent(group.median_error)} in the median over {plural(len(group.points), 'point')}, "
        f"and by {percent(worst.error * 100)} at worst ({worst.method} at {format_bandwidth(worst.bandwidth_bytes_per_s)}); "
        f"{within} of them are within {share_percent(_HELD)}.",
        "Its rates and ratios are those of the unlimited cell. From the slowest link it takes the ratio of small batches, and from "
        "the CPU time of uncompressed runs what packets take from the cores, but from no limited cell a total time.",
    )


def _chart(number: int, group: Group) -> charts.Chart:
    measured_none = {p.bandwidth_bytes_per_s: p.measured_s for p in group.points if p.method == group.none}
    measured = [
        (p.method, p.bandwidth_bytes_per_s, p.measured_s / measured_none[p.bandwidth_bytes_per_s])
        for p in group.points
        if p.bandwidth_bytes_per_s in measured_none
    ]
    bounds = {name: group.break_even(name) for name in group.costs if name != group.none}
    return charts.finished(
        f"break-even-{number}",
        f"Time against no compression, by bandwidth: {group.label}",
        "Lines are the model, filled marks the medians that were measured. Below 1 a method pays; a ring is where it stops paying.",
        model_curves.against_none(group.costs, group.none, group.link_at, break_evens=bounds, measured=measured),
    )


def _method(group: Group, name: str) -> tuple[str, ...]:
    cost, bound = group.costs[name], group.break_even(name)
    ratios = (amount(cost.ratio, 2), amount(cost.slow_ratio, 2))
    return bound_text(None if math.isinf(bound) else bound), *ratios, amount(cost.pair_bytes_per_s / 1e6)


def _point(point: Point) -> tuple[str, ...]:
    times = (amount(point.measured_s * 1e3), amount(point.predicted_s * 1e3))
    return format_bandwidth(point.bandwidth_bytes_per_s), *times, percent(point.error * 100), str(point.n)
