"""Cells that were run apart, beside each other, as a table. Knows results and rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from harness.console import make_table, plain
from harness.results.result import Result
from reports.sweep.matrix import article, matrices


def print_matrices(console: Console, results: Sequence[Result]) -> None:
    """A table for each scenario that was run in cells, and what of it is missing; nothing where there is none."""
    for matrix in matrices(results):
        found = article(matrix)
        for table in found.tables:
            shown = make_table(f"{plain(matrix.name)}: {plain(table.title)}", *map(plain, table.headings))
            for row in table.rows:
                shown.add_row(*map(plain, row))
            console.print(shown)
        for sentence in found.sentences:
            console.print(plain(sentence), soft_wrap=True)
