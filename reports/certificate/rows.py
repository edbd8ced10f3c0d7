"""The raw rows of a certificate's checks: which of them can be drawn, and all of them as tables.

Rows are what a check wrote down and may lack fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.results.certificate import Certificate, CheckResult
from reports.numbers import figure_text
from reports.table import Table

Row = dict[str, Any]
_LARGEST = 1e15
_MOST_ROWS = 200  # of a raw table on a page; the raw JSON holds them all


def is_number(value: object) -> bool:
    """Whether it can be drawn as one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _drawable(row: Mapping[str, object]) -> Row:
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}


def rows_of(certificate: Certificate, check_id: str, name: str, *numbers: str, above: float = -math.inf) -> list[Row]:
    """The rows ``name`` of a check in which every field of ``numbers`` is a number above ``above``."""
    found = [_drawable(row) for check in certificate.checks if check.id == check_id for row in check.data.get(name, ())]
    return [row for row in found if all(is_number(row.get(field)) and row[field] > above for field in numbers)]


def tables_of(
    title: str,
    headings: tuple[str, ...],
    fields: tuple[str, ...],
    rows: Sequence[Row],
    *,
    words: tuple[int, ...],
    folded: bool = False,
) -> tuple[Table, ...]:
    """One table of ``fields``, or none where there is nothing to show."""
    texts = tuple(tuple(figure_text(row.get(field)) for field in fields) for row in rows)
    return (Table(title, headings, texts, words, folded=folded),) if rows and fields else ()


def every_table(check: CheckResult) -> tuple[Table, ...]:
    """Every row that a check wrote down, as it is; of many the first."""
    tables: list[Table] = []
    for name, rows in check.data.items():
        fields = tuple(dict.fromkeys(field for row in rows for field in row))
        words = tuple(i for i, field in enumerate(fields) if not any(is_number(row.get(field)) for row in rows))
        more = f" (the first {_MOST_ROWS} of {len(rows)} rows)" if len(rows) > _MOST_ROWS else ""
        tables += tables_of(f"Rows: {name}{more}", fields, fields, rows[:_MOST_ROWS], words=words, folded=True)
    return tuple(tables)
