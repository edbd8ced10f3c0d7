"""The rich console of every command that prints tables, and their common look. Knows nothing of what is printed."""

from __future__ import annotations

import os
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.terminal import one_line

_PLAIN_WIDTH = 170
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


def make_table(title: str, *columns: str, numbers: bool = False) -> Table:
    """A table whose first column never wraps; with ``numbers`` the others are aligned right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0, justify="right" if numbers and index else "left")
    return table
