"""The rich console of every command that prints tables, and their common look. Knows nothing of what is printed."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table

from harness.terminal import one_line

_PLAIN_WIDTH = 200
_LONGEST_WORD = 32
"""Letters. What is longer, such as a path, may be broken anywhere."""
_SPACES = str.maketrans("\u00a0\u202f", "  ")  # our own sentences keep numbers and units together by these


def make_console(**settings: Any) -> Console:  # noqa: ANN401 - rich's own
    """Stdout. Without a terminal there is no width to keep to; rich would take 80 and break the tables' cells."""
    console = Console(highlight=False, emoji=False, **settings)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PLAIN_WIDTH
    return console


def plain(text: object) -> str:
    """Text of others (names, paths, errors) inside rich markup: one line, and nothing in it is markup or an escape sequence."""
    return escape(one_line(str(text).translate(_SPACES)))


def print_warning(console: Console, text: str) -> None:
    """A sentence of doubt below a table."""
    console.print(f"[yellow]warning:[/] {plain(text)}", highlight=False, soft_wrap=True)


def print_note(console: Console, text: str) -> None:
    """A sentence on what the figures were made with."""
    console.print(f"[bold]note:[/] {plain(text)}", highlight=False, soft_wrap=True)


class WholeWords(Table):
    """A table that breaks no word of up to ``_LONGEST_WORD`` letters: where its columns cannot hold theirs beside each other, each
    row becomes a block of lines, one for each column, with its heading. A block begins with the first column's words."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As a table if all words fit, else as blocks."""
        room = options.max_width - (3 * len(self.columns) - 1)  # a space at each edge, and three between two columns
        ranges = [
            _range(console, options, (each.header, *each.cells), whole=bool(each.no_wrap)) for each in self.columns
        ]
        if sum(each.minimum for each in ranges) > room:
            yield from self._blocks(console, options)
            return
        shown = copy.copy(self)
        if sum(each.maximum for each in ranges) > room:
            shown.columns = [
                replace(column, width=width) for column, width in zip(self.columns, _widths(ranges, room), strict=True)
            ]
        yield from Table.__rich_console__(shown, console, options)

    def _blocks(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield console.render_str(str(self.title), style=self.title_style or "", highlight=False)
        width = _heads_width(console, options, self.columns[1:])
        for first, *cells in zip(*(column.cells for column in self.columns), strict=True):
            yield ""
            if first:
                yield first
            grid = Table.grid(padding=(0, 0, 0, 2), collapse_padding=False, pad_edge=True)
            grid.add_column(width=width)
            grid.add_column(overflow="fold")
            for column, cell in zip(self.columns[1:], cells, strict=True):
                if cell:
                    grid.add_row(column.header, cell)
            yield grid
        if self.caption:
            yield ""
            yield self.caption


def _heads_width(console: Console, options: ConsoleOptions, columns: Sequence[Column]) -> int:
    """Of headings that stand before their cells: what the cells' lines leave, or else a third, or what their words take."""
    room = options.max_width - 4
    heads = _range(console, options, (column.header for column in columns))
    cells = _range(console, options, (cell for column in columns for cell in column.cells))
    return min(heads.maximum, max(min(heads.minimum, room // 2), room - cells.maximum, room // 3))


def _range(
    console: Console, options: ConsoleOptions, cells: Iterable[RenderableType], *, whole: bool = False
) -> Measurement:
    """Of a column: the least width that breaks no word, and the one that breaks no line. ``whole``: no line may be broken."""
    found = [Measurement.get(console, options.update(width=10**6), cell) for cell in cells]
    widest = max((each.maximum for each in found), default=0)
    longest = max((min(each.minimum, _LONGEST_WORD) for each in found), default=0)
    return Measurement(widest if whole else longest, widest)


def _widths(ranges: Sequence[Measurement], room: int) -> list[int]:
    """All in ``room``: each as it wants to be, or as its words are, or else as wide as the others that want more."""
    widths = [each.minimum for each in ranges]
    for _ in range(room - sum(widths)):
        wanting = [index for index, each in enumerate(ranges) if widths[index] < each.maximum]
        widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def make_table(title: str, *columns: str, numbers: bool = False) -> Table:
    """A table whose first column never wraps; with ``numbers`` the others are aligned right."""
    table = WholeWords(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0, justify="right" if numbers and index else "left")
    return table
