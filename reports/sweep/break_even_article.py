"""Where compression stops paying: a group's sentences, and the tables of its methods and of every point."""

from __future__ import annotations

import math

from harness.results.advice_words import bound_text
from harness.units import MIB, format_bandwidth
from reports.numbers import amount, percent, plural, share_percent
from reports.sweep.article import Article
from reports.sweep.break_even import Group, Point
from reports.table import Table

_METHODS = ("Method", "Faster than none up to", "Wire ratio", "Ratio on the slowest link", "Without a limit (MiB/s)")
_POINTS = ("Method", "Link", "Measured (ms)", "Model (ms)", "Error", "n")
_HELD = 0.1


def article(group: Group) -> Article:
    """What one group says."""
    methods = tuple(_method(group, name) for name in group.costs if name != group.none)
    points = tuple(map(_point, group.points))
    return Article(
        group.label,
        _sentences(group),
        (
            Table(f"Where each method stops paying: {group.label}", _METHODS, methods),
            Table(f"Every point, measured and by the model: {group.label}", _POINTS, points, folded=True),
        ),
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


def _method(group: Group, name: str) -> tuple[str, ...]:
    cost, bound = group.costs[name], group.break_even(name)
    ratios = (amount(cost.ratio, 2), amount(cost.slow_ratio, 2))
    return name, bound_text(None if math.isinf(bound) else bound), *ratios, amount(cost.pair_bytes_per_s / MIB)


def _point(point: Point) -> tuple[str, ...]:
    times = (amount(point.measured_s * 1e3), amount(point.predicted_s * 1e3))
    link = format_bandwidth(point.bandwidth_bytes_per_s)
    return point.method, link, *times, percent(point.error * 100), str(point.n)
