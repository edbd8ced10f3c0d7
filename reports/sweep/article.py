"""What the cells of one group say together: sentences and tables. Data alone."""

from __future__ import annotations

from dataclasses import dataclass

from reports.table import Table


@dataclass(frozen=True, slots=True)
class Article:
    """``label``: what the group's cells have in common; empty where one article is all of its section."""

    label: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]
