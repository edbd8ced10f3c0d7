"""What ``auto`` lost against the best fixed choice, cell by cell, as data, sentences and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.results.inference import ratio_interval
from harness.results.result import Result
from reports.effects import counted_runs, summary_of, values
from reports.facts import bandwidth_text, declared_methods, distance_text, joined
from reports.numbers import DASH, amount, effect_interval, percent, plural
from reports.sweep.article import Article
from reports.table import Table

_HEADINGS = ("Cell", "auto (ms)", "Best fixed (ms)", "Which", "Regret", "95\u00a0% interval", "Against none", "n")
_BANDWIDTH = "link.bandwidth"
_LENGTH = ("link.delay", "link.jitter", "link.loss")  # told as the distance that they make


@dataclass(frozen=True, slots=True)
class Regret:
    """Medians of total times; ``fixed_ms`` by method. ``interval``: 95 %, of the ratio of auto's to the best of them; None of too
    few runs. ``against_none``: the share that auto took more than no compression through the same pair; None where that was
    not run."""

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
        """The share that auto took more than the best fixed choice. 0.07: 7 % more."""
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
        ratio_interval(times, best, 0.05),
        None if none is None else ms[auto] / none - 1,
        len(times),
    )


def _cell(result: Result) -> str:
    """Its place in the sweep; also the link's, where it was set for all cells."""
    cell = result.scenario.get("cell", {})
    if not cell:
        return str(result.scenario.get("name", ""))
    held = "" if _BANDWIDTH in cell else bandwidth_text(result)
    return joined(held, *(value for key, value in cell.items() if key not in _LENGTH), distance_text(result))


def article(rows: Sequence[Regret]) -> Article:
    """What all cells say, without columns that hold nothing."""
    cells = tuple(map(_cells, rows))
    shown = [at for at in range(len(_HEADINGS)) if any(row[at] != DASH for row in cells)]
    headings = tuple(_HEADINGS[at] for at in shown)
    table = Table("auto beside the best fixed choice", headings, tuple(tuple(row[at] for at in shown) for row in cells))
    return Article("", _sentences(rows), (table,))


def regret_percent(row: Regret) -> tuple[str, str]:
    """The regret and its interval."""
    return percent(row.regret * 100), effect_interval(row.interval) or DASH


def _cells(row: Regret) -> tuple[str, ...]:
    against_none = DASH if row.against_none is None else percent(row.against_none * 100)
    times = (amount(row.auto_ms), amount(row.best_ms))
    return row.cell, *times, row.best, *regret_percent(row), against_none, str(row.n)


def _sentences(rows: Sequence[Regret]) -> tuple[str, ...]:
    worst = max(rows, key=lambda row: row.regret)
    middle = median(row.regret for row in rows)
    beside_none = [(row.against_none, row.cell) for row in rows if row.against_none is not None]
    first = (
        f"Total time of auto against the best fixed choice: {percent(worst.regret * 100)} at worst ({worst.cell}), and "
        f"{percent(middle * 100)} in the median of {plural(len(rows), 'cell')}."
    )
    if beside_none:
        best, least = min(beside_none), max(beside_none)
        first += (
            f" Against no compression: {percent(best[0] * 100)} ({best[1]}) to {percent(least[0] * 100)} ({least[1]})."
        )
    return (
        first,
        "Which choice was best is known only afterwards, and the fastest of several is by chance a little faster than it will be "
        "again: a regret whose interval reaches zero shows nothing.",
    )
