"""A table as every page shows it: texts in columns. Knows nothing of what they say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a text for each of ``headings``; the first names its row.

    ``words``: the columns that hold no numbers. ``missing``: what to say where there are no rows. ``marks``: a class of the style
    sheet for each row; empty where none has one. ``folded``: its title stands there, and opens it. ``ids``: each row's name in a
    link; empty where none has one.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    missing: str = ""
    marks: tuple[str, ...] = ()
    folded: bool = False
    ids: tuple[str, ...] = ()
