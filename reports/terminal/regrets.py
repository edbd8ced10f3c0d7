"""What ``auto`` lost against the best fixed choice, as a table. Knows results and rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from harness.console import make_table, plain
from harness.results.result import Result
from reports.numbers import DASH, percent
from reports.sweep.regret import regret_percent, regrets


def print_regrets(console: Console, results: Sequence[Result]) -> None:
    """A row for each result that has ``auto`` beside a fixed choice; nothing where none has."""
    found = regrets(results)
    if not found:
        return
    columns = ("cell", "auto", "best fixed", "", "regret", "95 %", "against none")
    table = make_table("auto and the best fixed choice: median total ms", *columns)
    for row in found:
        against_none = DASH if row.against_none is None else percent(row.against_none * 100)
        times = (f"{row.auto_ms:.0f}", f"{row.best_ms:.0f}", plain(row.best))
        table.add_row(plain(row.cell), *times, *regret_percent(row), against_none)
    console.print(table)
