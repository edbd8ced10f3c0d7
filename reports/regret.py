"""What ``auto`` lost against the best fixed choice, cell by cell. Results in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.result import Result
from reports.effects import summary_of
from reports.facts import declared_methods

__all__ = ["Regret", "regrets"]


@dataclass(frozen=True, slots=True)
class Regret:
    """Medians of total times. ``regret``: the share that auto took more than the best fixed choice. ``against_none``: likewise,
    more than no compression through the same pair; None where that was not run."""

    cell: str
    auto_ms: float
    best: str
    best_ms: float
    regret: float
    against_none: float | None


def regrets(results: Sequence[Result]) -> list[Regret]:
    """A row for each result that has ``auto`` and at least one fixed choice."""
    return [row for result in results if (row := _regret(result)) is not None]


def _regret(result: Result) -> Regret | None:
    declared = declared_methods(result)
    ours = {name: method for name, method in declared.items() if method.get("engine") == "pageferry"}
    ms = {
        name: metric.median * 1e3 for name in ours if (metric := summary_of(result, name, "total_time_s")) is not None
    }
    auto = next((name for name in ms if ours[name].get("backend") == "auto"), None)
    fixed = {name: value for name, value in ms.items() if ours[name].get("backend") != "auto"}
    if auto is None or not fixed:
        return None
    best = min(fixed, key=lambda name: fixed[name])
    none = next((value for name, value in fixed.items() if ours[name].get("backend") == "none"), None)
    cell = ", ".join(result.scenario.get("cell", {}).values()) or str(result.scenario.get("name", ""))
    against_none = None if none is None else ms[auto] / none - 1
    return Regret(cell, ms[auto], best, fixed[best], ms[auto] / fixed[best] - 1, against_none)
