"""Sweeps over link.bandwidth: the model of each method, where it stops paying, and how far the model is from what was measured.

Results -> data. A group is the cells that differ in bandwidth alone. Rate and ratio are the unlimited cell's; two things of slow
links are taken from the others: the ratio of small batches from the slowest, and what packets take from the cores from ``none``'s
CPU time. No limited cell's total time goes into a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from harness.results.model import Cost, Link, break_even
from harness.results.result import Result
from reports.effects import median_of, summary_of, throughput_bytes_per_s
from reports.facts import declared_methods, distance_text, file_name, is_replay

_AXIS = "link.bandwidth"


@dataclass(frozen=True, slots=True)
class Point:
    """One method in one cell. Times of its median run, and the model's."""

    method: str
    bandwidth_bytes_per_s: float
    measured_s: float
    predicted_s: float
    n: int

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True)
class Group:
    """``label``: what its cells have in common. ``none``: the method that does not compress. ``links``: as measured, ascending."""

    label: str
    none: str
    costs: Mapping[str, Cost]
    links: tuple[Link, ...]
    points: tuple[Point, ...]

    def link_at(self, bandwidth_bytes_per_s: float) -> Link:
        """Between two links that were measured in proportion to the logarithm; beyond them like the last one."""
        log = math.log(bandwidth_bytes_per_s)
        known = [(math.log(link.bandwidth_bytes_per_s or 1.0), link) for link in self.links]
        for (low, slower), (high, faster) in pairwise(known):
            if low <= log <= high:
                share = (log - low) / (high - low)
                busy = slower.busy_s_per_byte + share * (faster.busy_s_per_byte - slower.busy_s_per_byte)
                return Link(bandwidth_bytes_per_s, busy)
        return (known[0] if log < known[0][0] else known[-1])[1].at(bandwidth_bytes_per_s)

    def break_even(self, method: str) -> float:
        """As ``model.break_even``: on a link like the nearest one to where it would be without what packets cost."""
        first = break_even(self.costs[method], self.costs[self.none])
        if not 0 < first < math.inf:
            return first
        return break_even(self.costs[method], self.costs[self.none], self.link_at(first))

    @property
    def errors(self) -> tuple[float, ...]:
        """Sizes of all errors, ascending."""
        return tuple(sorted(abs(point.error) for point in self.points))

    @property
    def median_error(self) -> float:
        """Of all points."""
        return median(self.errors)


def groups(results: Sequence[Result]) -> tuple[Group, ...]:
    """One for each memory mix (or whatever else is swept) that was replayed without a limit, with one, and by ``none``."""
    cells: dict[tuple[object, ...], dict[float | None, Result]] = {}
    for result in results:
        link = result.scenario.get("link", {})
        if is_replay(result) and "bandwidth_bytes_per_s" in link:
            cells.setdefault(_key(result), {}).setdefault(link["bandwidth_bytes_per_s"], result)
    return tuple(group for key, found in cells.items() if (group := _group(_label(key), found)) is not None)


def _key(result: Result) -> tuple[object, ...]:
    cell: Mapping[str, Any] = result.scenario.get("cell", {})
    name = file_name(result)
    guest = tuple(sorted((key, str(value)) for key, value in result.scenario.get("guest", {}).items()))
    others = [value for key, value in cell.items() if key not in (_AXIS, "link.delay", "link.jitter", "link.loss")]
    return name, (*others, *([distance_text(result)] if distance_text(result) else [])), guest


def _label(key: tuple[object, ...]) -> str:
    name, others = key[0], key[1]
    return ", ".join(others) if isinstance(others, tuple) and others else str(name)


def _group(label: str, cells: Mapping[float | None, Result]) -> Group | None:
    whole = cells.get(None)
    limited = {bandwidth: cells[bandwidth] for bandwidth in sorted(b for b in cells if b is not None)}
    if whole is None or not limited:
        return None
    costs = dict(_costs(whole, next(iter(limited.values()))))
    none = next((name for name in costs if declared_methods(whole)[name].get("backend") == "none"), None)
    if none is None or len(costs) < 2:
        return None
    links = tuple(Link(bandwidth, _busy(cell, whole, none)) for bandwidth, cell in limited.items())
    cells_of_links = zip(links, limited.values(), strict=True)
    points = tuple(point for link, cell in cells_of_links for point in _points(cell, costs, link))
    return Group(label, none, costs, links, points) if points else None


def _costs(whole: Result, slowest: Result) -> Iterator[tuple[str, Cost]]:
    """Of each fixed choice through the pair."""
    for name, method in declared_methods(whole).items():
        if method.get("engine") != "pageferry" or method.get("backend") == "auto":
            continue
        ratio, rate = median_of(whole, name, "ratio"), throughput_bytes_per_s(whole, name)
        slow_ratio, slow_rate = median_of(slowest, name, "ratio"), throughput_bytes_per_s(slowest, name)
        if ratio and rate:
            yield name, Cost(ratio, rate, slow_ratio if slow_rate else None, slow_rate or 1.0)


def _busy(cell: Result, whole: Result, none: str) -> float:
    """What a wire byte takes of the cores here that it does not where the link is no limit."""
    spent = [_cpu_s_per_wire_byte(result, none) for result in (cell, whole)]
    cores = cell.environment.get("cores")
    return max(0.0, spent[0] - spent[1]) / (cores if isinstance(cores, int) and cores > 0 else 1)


def _cpu_s_per_wire_byte(result: Result, method: str) -> float:
    cpu_s, wire_bytes = median_of(result, method, "cpu_total_s"), median_of(result, method, "wire_bytes")
    return cpu_s / wire_bytes if cpu_s and wire_bytes else 0.0


def _points(cell: Result, costs: Mapping[str, Cost], link: Link) -> Iterator[Point]:
    for name, cost in costs.items():
        total, stream_bytes = summary_of(cell, name, "total_time_s"), median_of(cell, name, "stream_bytes")
        if total is not None and stream_bytes and link.bandwidth_bytes_per_s is not None:
            predicted_s = cost.total_time_s(stream_bytes, link)
            yield Point(name, link.bandwidth_bytes_per_s, total.median, predicted_s, total.n)
