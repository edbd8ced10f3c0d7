"""Scenarios that vary threads: throughput by compression and decompression threads, and where fewer decoders suffice.

Result -> data. A grid is a backend at one level with at least two counts of both kinds of threads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.results.result import Result
from harness.units import MIB
from reports.effects import median_of, throughput_bytes_per_s
from reports.facts import declared_methods

ENOUGH = 0.95  # of the best of a row: what a decompression count must reach to count as enough


@dataclass(frozen=True, slots=True)
class Point:
    """One method of a grid. ``enough``: the fewest decompression threads that reach 95 % of their row's best."""

    method: str
    threads: int
    decompress_threads: int
    mib_per_s: float
    total_time_s: float
    enough: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """All points of one backend at one level."""

    title: str
    points: tuple[Point, ...]


def _counts(method: Mapping[str, Any]) -> tuple[int, int] | None:
    threads, decompress = method.get("threads"), method.get("decompress_threads")
    return (threads, decompress) if isinstance(threads, int) and isinstance(decompress, int) else None


def _fewest_enough(cells: dict[tuple[int, int], tuple[str, float, float]]) -> set[tuple[int, int]]:
    chosen = set()
    for threads in {key[0] for key in cells}:
        row = {key: cell[1] for key, cell in cells.items() if key[0] == threads}
        chosen.add(min(key for key, speed in row.items() if speed >= ENOUGH * max(row.values())))
    return chosen


def grids(result: Result) -> tuple[Grid, ...]:
    """Every grid in the result, in the scenario's order."""
    found: dict[str, dict[tuple[int, int], tuple[str, float, float]]] = {}
    for name, method in declared_methods(result).items():
        counts, speed = _counts(method), throughput_bytes_per_s(result, name)
        total_s = median_of(result, name, "total_time_s")
        if method.get("engine") != "pageferry" or counts is None or speed is None or total_s is None:
            continue
        level = "" if method.get("level") is None else f" level {method['level']}"
        found.setdefault(f"{method.get('backend')}{level}", {})[counts] = (name, speed / MIB, total_s)
    real = {t: c for t, c in found.items() if len({k[0] for k in c}) > 1 and len({k[1] for k in c}) > 1}
    return tuple(_grid(title, cells) for title, cells in real.items())


def _grid(title: str, cells: dict[tuple[int, int], tuple[str, float, float]]) -> Grid:
    chosen = _fewest_enough(cells)
    points = tuple(Point(cell[0], *key, cell[1], cell[2], key in chosen) for key, cell in sorted(cells.items()))
    return Grid(title, points)


def rule_sentence(grid: Grid) -> str:
    """How many decompression threads were enough, per count of compression threads, against the 4:1 rule."""
    enough = [point for point in grid.points if point.enough]
    pairs = ", ".join(f"{point.threads} needed {point.decompress_threads}" for point in enough)
    held = [point.threads for point in enough if point.decompress_threads <= math.ceil(point.threads / 4)]
    text = f"Decompression threads that reach 95\u00a0% of the row's best throughput: {pairs}."
    if len(held) == len(enough):
        return f"{text} One for every four compression threads was enough everywhere."
    if not held:
        return f"{text} One for every four compression threads was enough nowhere."
    where = ", ".join(str(count) for count in held)
    return f"{text} One for every four compression threads was enough at {where}."
