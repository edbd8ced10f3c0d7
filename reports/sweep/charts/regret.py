"""What ``auto`` lost against the best fixed choice, cell by cell, drawn."""

from __future__ import annotations

from collections.abc import Sequence
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
from reports.sweep.regret import Regret

_AUTO = "auto"
_MARGIN = 1.06


def chart(rows: Sequence[Regret]) -> Chart:
    """A band for each cell."""
    lines = ", lines their 95\u00a0% intervals" if any(row.interval is not None for row in rows) else ""
    return finished(
        "regret",
        "auto beside every fixed choice",
        "Median total time as a share of the best fixed choice's in the same cell, on a logarithmic axis. Large marks are "
        f"auto{lines}. Further left is better.",
        _drawn(rows),
    )


def _datum(row: Regret, series: str, share: float, ms: float) -> Datum:
    return {"cell": row.cell, "series": series, "share": round(share, 4), "ms": round(ms, 1)}


def _drawn(rows: Sequence[Regret]) -> Spec:
    fixed = [_datum(row, name, ms / row.best_ms, ms) for row in rows for name, ms in row.fixed_ms.items()]
    auto = [_datum(row, _AUTO, 1 + row.regret, row.auto_ms) | _bounds(row) for row in rows]
    names = [_AUTO, *texts(fixed, "series")]
    ends = [row[end] for row in [*fixed, *auto] for end in ("share", "low", "high") if end in row]
    scale = log_scale(ends, _MARGIN)
    look: dict[str, Any] = {"y": bands("cell", [row.cell for row in rows], 0.5), "color": colour("series", names)}
    marks: dict[str, Any] = {
        **look,
        "x": alt.X("share:Q", title="Time, best fixed = 1", scale=scale, axis=alt.Axis(format="~g")),
        "shape": shape("series", names),
        "tooltip": tooltips(
            ("cell:N",), ("series:N", "method"), ("ms:Q", "total ms", ",.0f"), ("share:Q", "of the best fixed", ".3f")
        ),
    }
    one = data([{"one": 1}]).mark_rule(strokeDash=[4, 3], color=MUTED)
    intervals = data([row for row in auto if "low" in row]).mark_rule(strokeWidth=2)
    return drawn(
        band_height([row.cell for row in rows], 36),
        one.encode(x=alt.X("one:Q", scale=scale)),
        points(fixed, 55, 0.8).encode(**marks),
        intervals.encode(x=alt.X("low:Q", scale=scale), x2="high:Q", **look),
        points(auto, 150, edge=1.2).encode(**marks),
    )


def _bounds(row: Regret) -> Datum:
    return {} if row.interval is None else dict(zip(("low", "high"), row.interval, strict=True))
