"""Each method's total time against the baseline of its own cell, by situation, drawn."""

from __future__ import annotations

from typing import Any

import altair as alt

from reports.drawing.chart import Chart, finished
from reports.drawing.parts import (
    Datum,
    Spec,
    band_height,
    bands,
    colour,
    data,
    drawn,
    log_scale,
    points,
    shape,
    texts,
    tooltips,
)
from reports.drawing.theme import MUTED
from reports.sweep.matrix import Matrix

_MARGIN = 1.1


def chart(number: int, matrix: Matrix) -> Chart | None:
    """A band for each method, a mark in it for each situation; None where no cell has figures."""
    rows = [_row(matrix, at) for at, cell in enumerate(matrix.cells) if cell.change is not None]
    if not rows:
        return None
    return finished(
        f"matrix-{number}",
        f"{matrix.name}: total time against {matrix.baseline}, by situation",
        f"Ratio of median total times to {matrix.baseline}'s of the same cell, on a logarithmic axis, with the interval that "
        "its verdict is made of. Left of the dashed line is faster.",
        _drawn(rows, matrix),
    )


def _row(matrix: Matrix, at: int) -> Datum:
    cell = matrix.cells[at]
    assert cell.change is not None  # noqa: S101 - for the type checker; the caller left those out
    low, high = cell.change.interval or (cell.change.ratio, cell.change.ratio)
    return {
        "method": cell.method,
        "situation": cell.situation,
        "times": float(f"{cell.change.ratio:.4g}"),
        "low": float(f"{low:.4g}"),
        "high": float(f"{high:.4g}"),
        "verdict": cell.change.words,
    }


def _drawn(rows: list[Datum], matrix: Matrix) -> Spec:
    names = texts(rows, "situation")
    scale = log_scale([1.0, *(row[end] for row in rows for end in ("low", "high"))], _MARGIN)
    place: dict[str, Any] = {
        "y": bands("method", matrix.of("method"), 0.3),
        "yOffset": alt.YOffset("situation:N", sort=names),
    }
    title = f"Total time, {matrix.baseline} = 1"
    known = tooltips(("method:N",), ("situation:N",), ("times:Q", f"of {matrix.baseline}'s", ".3f"), ("verdict:N",))
    one = data([{"one": 1}]).mark_rule(strokeDash=[4, 3], color=MUTED)
    intervals = data(rows).mark_rule(strokeWidth=2)
    tinted = colour("situation", names)
    return drawn(
        band_height(matrix.of("method"), 16 * len(names) + 12),
        one.encode(x=alt.X("one:Q", scale=scale)),
        intervals.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", color=tinted, **place),
        points(rows, 75, edge=0.75).encode(
            x=alt.X("times:Q", title=title, scale=scale, axis=alt.Axis(format="~g")),
            color=tinted,
            shape=shape("situation", names),
            tooltip=known,
            **place,
        ),
    )
