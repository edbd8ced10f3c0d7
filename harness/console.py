"""The rich console of every command that prints tables, and their common look. Knows nothing of what is printed."""

from __future__ import annotations

import os

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["make_console", "make_table", "print_warning"]

_PLAIN_WIDTH = 140


class _Console(Console):
    """Leaves a reader that went away to the command line, which knows the exit status for it."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console() -> Console:
    """Stdout. Without a terminal there is no width to keep to; rich would take 80 and break the tables' cells."""
    console = _Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PLAIN_WIDTH
    return console


def print_warning(console: Console, text: str) -> None:
    """A sentence of doubt below a table."""
    console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


def make_table(title: str, *columns: str, numbers: bool = False) -> Table:
    """A table whose first column never wraps; with ``numbers`` the others are aligned right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0, justify="right" if numbers and index else "left")
    return table
