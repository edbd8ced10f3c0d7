"""What ``auto`` lost against the best fixed choice, cell by cell. Results in, rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.results.result import Result
from harness.units import format_bandwidth
from reports.effects import counted_runs, ratio_interval, summary_of, values
from reports.facts import declared_methods, distance_text

__all__ = ["Regret", "regrets"]

_BANDWIDTH = "link.bandwidth"
_LENGTH = ("link.delay", "link.jitter", "link.loss")  # told as the distance that they make


@dataclass(frozen=True, slots=True)
class Regret:
    """Medians of total times; ``fixed_ms`` by method. ``regret``: the share that auto took more than the best of them, with its
    95 % ``interval`` (None of too few runs). ``against_none``: likewise, more than no compression through the same pair; None
    where that was not run."""

    cell: str
    auto_ms: float
    fixed_ms: Mapping[str, float]
    interval: tuple[float, float] | None
    against_none: float | None
    n: int

    @property
    def best(self) -> str:
        """The fixed choice that was fastest."""
        return min(self.fixed_ms, key=lambda name: self.fixed_ms[name])

    @property
    def best_ms(self) -> float:
        """Its median."""
        return self.fixed_ms[self.best]

    @property
    def regret(self) -> float:
        """0.07: auto took 7 % more."""
        return self.auto_ms / self.best_ms - 1


def regrets(results: Sequence[Result]) -> list[Regret]:
    """A row for each result that has ``auto`` and at least one fixed choice. No two have one name."""
    found = [row for result in results if (row := _regret(result)) is not None]
    names = [row.cell for row in found]
    return [
        row if names.count(row.cell) == 1 else replace(row, cell=f"{row.cell} ({names[:at].count(row.cell) + 1})")
        for at, row in enumerate(found)
    ]


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
    none = next((value for name, value in fixed.items() if ours[name].get("backend") == "none"), None)
    times, best = (
        values(counted_runs(result, name), "total_time_s") for name in (auto, min(fixed, key=lambda name: fixed[name]))
    )
    return Regret(
        _cell(result),
        ms[auto],
        fixed,
        _interval(times, best),
        None if none is None else ms[auto] / none - 1,
        len(times),
    )


def _cell(result: Result) -> str:
    """Its place in the sweep; also the link's, where it was set for all cells."""
    cell, link = result.scenario.get("cell", {}), result.scenario.get("link", {})
    if not cell:
        return str(result.scenario.get("name", ""))
    held = [format_bandwidth(link["bandwidth_bytes_per_s"])] if "bandwidth_bytes_per_s" in link else []
    words = [*([] if _BANDWIDTH in cell else held), *(value for key, value in cell.items() if key not in _LENGTH)]
    return ", ".join([*words, *([distance_text(result)] if distance_text(result) else [])])


def _interval(auto: Sequence[float], best: Sequence[float]) -> tuple[float, float] | None:
    ratio = ratio_interval(auto, best)
    return None if ratio is None else (ratio[0] - 1, ratio[1] - 1)
