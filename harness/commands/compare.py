"""``pageferry compare``: two saved results side by side."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from harness.terminal import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from harness.results.metrics import Metric
    from harness.results.result import Result

__all__ = ["command"]

_EPILOG = """\b
Examples:
  pageferry compare out/before out/after
  pageferry compare out/amd out/intel --out out/compare.html
"""


@click.command(epilog=_EPILOG, short_help="Compare two saved results.")
@click.argument("first", type=click.Path(path_type=Path), metavar="A")
@click.argument("second", type=click.Path(path_type=Path), metavar="B")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Also write a page there.")
def command(*, first: Path, second: Path, out: Path | None) -> None:
    """Compare the methods that results A and B have in common: medians, and the change from A to B."""
    from harness.console import make_console, print_warning
    from harness.results.result import load_result
    from reports.run.comparison import fallback_warnings
    from reports.run.page import write_comparison

    a, b = load_result(first), load_result(second)
    console = make_console()
    console.print(_table(a, b, str(first), str(second)))
    for sentence in fallback_warnings(a, b, ("A", "B")):
        print_warning(console, sentence)
    if out is not None:
        write_comparison(a, b, out, (str(first), str(second)))
        click.echo(one_line(f"comparison: {out}"))


def _table(a: Result, b: Result, first: str, second: str) -> Table:
    """:raises UserError: the two have no method in common."""
    from harness.console import make_table, plain
    from harness.errors import UserError
    from harness.results.metrics import shown_in

    if a.frontiers and b.frontiers:
        return _frontier_table(a, b, f"A = {plain(first)}, B = {plain(second)}: frontiers A -> B")
    methods = [method for method in a.summary if method in b.summary]
    if not methods:
        raise UserError(f"{first} and {second} have no completed method in common; compare results of like scenarios")
    title = f"A = {plain(first)}, B = {plain(second)}: medians A -> B"
    metrics = shown_in("compare")
    table = make_table(title, "method", *[metric.short_heading for metric in metrics], numbers=True)
    for method in methods:
        table.add_row(plain(method), *[_change(a, b, method, metric) for metric in metrics])
    return table


def _frontier_table(a: Result, b: Result, title: str) -> Table:
    """What converged in each, with no interval: their own tables have the brackets."""
    from harness.console import make_table, plain
    from harness.results.search import value_text

    after = {(each.search, each.method): each for each in b.frontiers}
    table = make_table(title, "method", "what", "converged at", "median downtime ms", numbers=True)
    for old in a.frontiers:
        new = after.get((old.search, old.method))
        if new is not None:
            ends = ["-" if e.converged_at is None else value_text(e.search, e.converged_at) for e in (old, new)]
            stood = [f"{median(e.downtimes_s) * 1e3:.0f}" if e.downtimes_s else "-" for e in (old, new)]
            what = old.search.replace("_", " ")
            table.add_row(plain(old.method), what, " -> ".join(ends), " -> ".join(stood))
    return table


def _change(a: Result, b: Result, method: str, metric: Metric) -> str:
    before, after = a.summary[method].get(metric.key), b.summary[method].get(metric.key)
    if before is None or after is None:
        return "-"
    change = f" ({(after.median / before.median - 1) * 100:+.0f} %)" if before.median else ""
    old, new = (f"{each.median * metric.unit.factor:.{metric.unit.digits}f}" for each in (before, after))
    return f"{old} -> {new}{change}"
