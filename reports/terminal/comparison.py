"""Two results beside each other, on the screen: the primary figures with their verdicts. Knows results and rich."""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.table import Table

from harness.console import make_table, plain, print_note, print_warning
from harness.results.result import Result
from harness.results.search import value_text
from harness.results.verdicts import share_text
from reports.run.comparison import Comparison

_HEADS = ("method", "figure", "base", "new", "change", "interval", "n", "could see", "verdict")


def print_comparison(console: Console, view: Comparison) -> None:
    """The table, what it adds up to, and what to doubt. The page has the other figures."""
    table = make_table(f"base {plain(view.label_a)}, new {plain(view.label_b)}: medians", *_HEADS)
    for line in view.primary:
        counts = f"{line.of.reference_runs}, {line.of.runs}"
        figures = (line.metric, line.a, line.b, line.change, line.interval)
        seen = "-" if line.of.visible is None else share_text(line.of.visible)
        table.add_row(
            plain(line.method if line.first else ""), *map(plain, figures), counts, seen, plain(line.of.words)
        )
    if view.primary:
        console.print(table)
    for sentence in view.sentences:
        console.print(plain(sentence), soft_wrap=True)
    for lost in view.lost:
        print_warning(console, f"lost: {lost}")
    for sentence in view.warnings:
        print_warning(console, sentence)
    if view.primary:
        print_note(console, view.note)


def frontier_changes(a: Result, b: Result, title: str) -> Table:
    """Of two searches: what converged in each, with no interval, for their own tables have the brackets."""
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
