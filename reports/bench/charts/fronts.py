"""Speed against ratio of every codec in one place, with Pareto's front through those that no other beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import altair as alt

from harness.results.bench import Bench, BenchCell, Middle
from harness.units import MIB
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, texts, tooltips
from reports.drawing.theme import INK, MUTED, PAPER, along, value_scale

_MOST_NAMED = 14
"""With more codecs only those on the front have their names beside them."""
_NAME_WIDE, _NAME_HIGH = 0.3, 0.06
"""Of a chart's width on a phone, and of its height."""


def compressing(bench: Bench, cells: Sequence[BenchCell]) -> Spec:
    """Compression's speed, with its interval as a line through the point."""
    return _front(bench, cells, "compress_s", "Compresses (MiB/s)")


def restoring(bench: Bench, cells: Sequence[BenchCell]) -> Spec:
    """The same of decompression."""
    return _front(bench, cells, "decompress_s", "Restores (MiB/s)")


def _front(bench: Bench, cells: Sequence[BenchCell], way: Literal["compress_s", "decompress_s"], title: str) -> Spec:
    front = {cell.codec for cell in bench.front(cells, way)}
    rows = [_row(bench, cell, bench.rate(getattr(cell, way)), on_front=cell.codec in front) for cell in cells]
    names = texts(rows, "backend")
    known = tooltips(("codec:N",), ("mib_s:Q", "MiB/s", ",.0f"), ("ratio:Q", "", ".2f"))
    look: dict[str, Any] = {
        "x": alt.X("ratio:Q", title="Ratio (input over output)", scale=alt.Scale(zero=False, nice=True)),
        "y": alt.Y("mib_s:Q", title=title, scale=value_scale([row["mib_s"] for row in rows])),
    }
    spans = data(rows).mark_rule(strokeWidth=1.5, color=MUTED)
    line = data([row for row in rows if row["on_front"]]).mark_line(strokeWidth=1.5, strokeDash=[5, 4], color=INK)
    named = [row for row in rows if row["on_front"] or len(rows) <= _MOST_NAMED]
    return drawn(
        380,
        spans.encode(x=look["x"], y=alt.Y("low:Q"), y2="high:Q"),
        line.encode(**look, order=alt.Order("ratio:Q")),
        points(rows, 80, edge=0.75).encode(
            **look, color=colour("backend", names, "memcpy"), shape=shape("backend", names), tooltip=known
        ),
        *(words.encode(**look, text="codec:N") for words in _names(named)),
    )


def _names(named: Sequence[Datum]) -> Iterator[alt.Chart]:
    """Each behind its mark, on a rim of paper; before it where the name would lie over the next one's mark."""
    before = [row for row in named if any(_hides(row, other, named) for other in named)]
    for rows, side in (([row for row in named if row not in before], "left"), (before, "right")):
        if rows:
            look: dict[str, Any] = {"align": side, "dx": 9 if side == "left" else -9}
            yield data(rows).mark_text(stroke=PAPER, strokeWidth=4, **look)
            yield data(rows).mark_text(**look)


def _hides(row: Datum, other: Datum, named: Sequence[Datum]) -> bool:
    ratios, speeds = ([each[key] for each in named] for key in ("ratio", "mib_s"))
    ahead = (other["ratio"] - row["ratio"]) / (max(ratios) - min(ratios) or 1.0)
    apart = abs(along(other["mib_s"], speeds) - along(row["mib_s"], speeds))
    return 0 < ahead < _NAME_WIDE and apart < _NAME_HIGH


def _row(bench: Bench, cell: BenchCell, rate: Middle, *, on_front: bool) -> Datum:
    value, low, high = (float(f"{each / MIB:.4g}") for each in (rate.value, rate.low, rate.high))
    ratio = round(bench.ratio(cell), 3)
    return {
        "codec": cell.codec,
        "backend": cell.backend,
        "ratio": ratio,
        "mib_s": value,
        "low": low,
        "high": high,
        "on_front": on_front,
    }
