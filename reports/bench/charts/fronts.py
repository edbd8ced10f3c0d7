"""Speed against ratio of every codec in one place, with Pareto's front through those that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from harness.results.bench import Bench, BenchCell, Middle
from harness.units import MIB
from reports.drawing.parts import Datum, Spec, colour, data, drawn, points, shape, texts, tooltips
from reports.drawing.theme import INK, MUTED, PAPER, value_scale

_MOST_NAMED = 14
"""With more codecs only those on the front have their names beside them."""


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
    named = data([row for row in rows if row["on_front"] or len(rows) <= _MOST_NAMED])
    halo = named.mark_text(align="left", dx=9, stroke=PAPER, strokeWidth=4)
    return drawn(
        380,
        spans.encode(x=look["x"], y=alt.Y("low:Q"), y2="high:Q"),
        line.encode(**look, order=alt.Order("ratio:Q")),
        points(rows, 80, edge=0.75).encode(
            **look, color=colour("backend", names, "memcpy"), shape=shape("backend", names), tooltip=known
        ),
        halo.encode(**look, text="codec:N"),
        named.mark_text(align="left", dx=9).encode(**look, text="codec:N"),
    )


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
