"""Cells of one experiment that were run apart, a backend in a situation each, beside each other: as data, sentences and tables.

Every cell ran the baseline in turn with its own method, and is compared with that baseline alone: what the machine did between two
cells met both sides of neither. All cells together are one family of comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness.results.metrics import METRICS
from harness.results.result import Result
from harness.results.verdicts import NOTE, Change, judge, share_text, too_few
from reports.effects import counted_runs, smallest_effect, values
from reports.facts import bandwidth_text, baseline_name, declared_methods, distance_text, file_name, is_replay, joined
from reports.numbers import DASH, amount, confidence, effect_interval, effect_percent, percent, plural
from reports.sweep.article import Article
from reports.table import Table

_JUDGED = METRICS["total_time_s"]


@dataclass(frozen=True, slots=True)
class Cell:
    """``change``: of its total time against its own baseline; None where either has none, and ``state`` says why."""

    situation: str
    method: str
    change: Change | None
    state: str
    baseline_ms: float | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """``name``: of the scenario's file."""

    name: str
    baseline: str
    smallest: float
    cells: tuple[Cell, ...]

    def of(self, field: str) -> list[str]:
        """The situations, or the methods, in their order."""
        return list(dict.fromkeys(str(getattr(cell, field)) for cell in self.cells))


def matrices(results: Sequence[Result]) -> list[Matrix]:
    """One for each scenario whose methods or situations lie in several results; of a cell that was run again the newest counts."""
    groups: dict[tuple[str, str], dict[tuple[str, str], Result]] = {}
    for result in sorted(results, key=_date):
        base = baseline_name(result)
        if base is None or result.scenario.get("cell") or result.scenario.get("frontier"):
            continue
        newest = groups.setdefault((file_name(result), base), {})
        newest |= {(_situation(result), method): result for method in declared_methods(result) if method != base}
    return [_matrix(*key, cells) for key, cells in groups.items() if len(set(map(id, cells.values()))) > 1]


def _date(result: Result) -> str:
    return str(result.environment.get("date") or "")


def _situation(result: Result) -> str:
    """``linux-redis replayed, 1 Gbit/s``; ``live, unlimited``."""
    return joined(_moved(result), bandwidth_text(result), distance_text(result))


def _moved(result: Result) -> str:
    if not is_replay(result):
        return "live"
    guest = result.scenario.get("guest", {})
    name = guest.get("stream") or Path(str(guest.get("path") or "")).stem
    return f"{name} replayed" if name else "replay"


def _matrix(name: str, baseline: str, newest: Mapping[tuple[str, str], Result]) -> Matrix:
    smallest = max(map(smallest_effect, newest.values()))
    samples = {
        key: tuple(values(counted_runs(result, each), _JUDGED.key) for each in (key[1], baseline))
        for key, result in newest.items()
    }
    told = {"\n".join(key): (new, old) for key, (new, old) in samples.items() if new and old}
    changes = judge(_JUDGED, told, smallest)
    cells = [
        Cell(
            *key,
            changes.get("\n".join(key)),
            _state(result, key[1]),
            median(samples[key][1]) * 1e3 if samples[key][1] else None,
        )
        for key, result in newest.items()
    ]
    return Matrix(name, baseline, smallest, tuple(cells))


def _state(result: Result, method: str) -> str:
    """Why runs are missing; nothing where none is."""
    missing = [run for run in result.runs if run.method == method and run.status != "completed"]
    if not missing:
        return "" if counted_runs(result, method) else "not run"
    return f"{missing[0].status}: {(missing[0].reason or missing[0].error or 'no reason given').splitlines()[0]}"


def article(matrix: Matrix) -> Article:
    """What all cells say."""
    situations = matrix.of("situation")
    by_place = {(cell.situation, cell.method): cell for cell in matrix.cells}
    rows = tuple(
        (method, *(_text(by_place.get((situation, method))) for situation in situations))
        for method in matrix.of("method")
    )
    heading = f"Total time against {matrix.baseline}"
    table = Table(heading, ("Method", *situations), rows, words=tuple(range(len(situations) + 1)))
    missing = tuple((cell.method, cell.situation, cell.state) for cell in matrix.cells if cell.state)
    left_out = [Table("Cells without figures", ("Method", "Situation", "Why"), missing, words=(0, 1, 2))] * bool(
        missing
    )
    return Article(matrix.name, tuple(_sentences(matrix)), (table, *left_out))


def _text(cell: Cell | None) -> str:
    if cell is None:
        return DASH
    if cell.change is None:
        return cell.state.partition(":")[0] or DASH
    interval = effect_interval(cell.change.interval)
    held = f"{interval} with {confidence(cell.change)}" if interval else ""
    return joined(f"{effect_percent(cell.change.ratio)}: {cell.change.words}", held)


def _sentences(matrix: Matrix) -> Iterator[str]:
    if few := too_few(cell.change for cell in matrix.cells if cell.change is not None):
        yield few
    for situation in matrix.of("situation"):
        mine = [cell for cell in matrix.cells if cell.situation == situation]
        known = [(cell.method, cell.change) for cell in mine if cell.change is not None]
        if not known:
            yield f"{situation}: no method has figures."
            continue
        better = [(name, change) for name, change in known if change.word == "better"]
        words = f"{situation}: {len(better)} of {plural(len(known), 'method')} better than {matrix.baseline}"
        if better:
            name, change = min(better, key=lambda each: each[1].ratio)
            words += f", {name} most ({effect_percent(change.ratio)})"
        if unclear := sum(change.word == "unclear" for _, change in known):
            words += f"; of {unclear} so few runs cannot tell"
        yield f"{words}.{_drift(mine, matrix.baseline)}"
    yield NOTE.format(smallest=share_text(matrix.smallest))
    if (judged := sum(cell.change is not None for cell in matrix.cells)) > 1:
        yield (
            f"All {judged} cells are judged as one family: a cell's own report, which judges fewer, may say better or worse where "
            "this table cannot tell."
        )


def _drift(cells: Sequence[Cell], baseline: str) -> str:
    """How far the baselines of a situation lie apart: what comparing cells by their times alone would be off by."""
    times = {cell.baseline_ms for cell in cells if cell.baseline_ms}  # a result with several methods has one baseline
    if len(times) < 2:
        return ""
    low, high = min(times), max(times)
    return (
        f" {baseline} took {amount(low)} to {amount(high)} ms in its cells ({percent((high / low - 1) * 100)} apart)."
    )
