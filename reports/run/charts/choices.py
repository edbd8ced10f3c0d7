"""What ``auto`` chose over time in one run, and the estimates that it chose by. As ``runs`` says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import altair as alt

from reports.drawing.parts import (
    Datum,
    Spec,
    band_height,
    colour,
    data,
    drawn,
    log_scale,
    points,
    shape,
    texts,
    tooltips,
)
from reports.drawing.theme import PAPER, colour_scale
from reports.run.choices import Decision, Followed

_LOG_MARGIN = 1.3
_SERIES = (
    ("predicted", "predicted"),
    ("link", "link (B)"),
    ("compress", "compression (C)"),
    ("decompress", "decompression (D)"),
)


def _times(shown: Followed) -> list[tuple[Decision, float]]:
    """Each decision with the time until which it held."""
    ends = [after.t_s for _, after in pairwise(shown.decisions)]
    return list(zip(shown.decisions, [*ends, shown.end_s], strict=True))


def _time_axis(shown: Followed, field: str) -> alt.X:
    scale = alt.Scale(domain=[0, max(shown.end_s, 1e-3)], nice=False)
    return alt.X(f"{field}:Q", title="Time since the first batch (s)", scale=scale)


def stretches(shown: Followed) -> list[Datum]:
    """Which choice held from when until when."""
    return [
        {"choice": decision.choice, "s": round(decision.t_s, 4), "until": round(until_s, 4)}
        for decision, until_s in _times(shown)
    ]


def chosen(shown: Followed) -> Spec:
    """A bar per stretch with one choice, in a band per candidate in the order of their first use; a mark at each decision."""
    rows = stretches(shown)
    names = texts(rows, "choice")
    look: dict[str, Any] = {
        "x": _time_axis(shown, "s"),
        "y": alt.Y("choice:N", title=None, sort=names, scale=alt.Scale(padding=0.35), axis=alt.Axis(grid=True)),
        "color": alt.Color("choice:N", scale=colour_scale(names), legend=None),
        "tooltip": tooltips(("choice:N",), ("s:Q", "from s", ".3f"), ("until:Q", "until s", ".3f")),
    }
    bars = data(rows).mark_bar().encode(**look, x2="until:Q")
    marks = data(rows).mark_point(filled=True, opacity=1, size=55, stroke=PAPER)
    return drawn(band_height(names, 34), bars, marks.encode(**look))


def estimate_rows(shown: Followed) -> list[Datum]:
    """A point per decision and series, and one where it ended. What a series did not know parts its line: ``stretch``."""
    rows: list[Datum] = []
    for field, label in _SERIES:
        stretch = 0
        for decision, until_s in _times(shown):
            value = getattr(decision, f"{field}_mib_per_s")
            if value is None or value <= 0:
                stretch += 1
                continue
            row = {"series": label, "choice": decision.choice, "mib_s": float(f"{value:.4g}"), "stretch": stretch}
            rows += [{**row, "s": round(decision.t_s, 4), "end": False}, {**row, "s": round(until_s, 4), "end": True}]
    return rows


def estimates(shown: Followed) -> Spec | None:
    """What each choice was made of, in MiB/s on a logarithmic axis: a point at each decision, held until the next."""
    rows = estimate_rows(shown)
    if not rows:
        return None
    known = texts(rows, "series")
    look: dict[str, Any] = {
        "x": _time_axis(shown, "s"),
        "y": alt.Y("mib_s:Q", title="MiB/s", scale=log_scale([row["mib_s"] for row in rows], _LOG_MARGIN)),
        "color": colour("series", known),
    }
    tooltip = tooltips(("series:N", "estimate"), ("mib_s:Q", "MiB/s", ",.4~g"), ("choice:N",), ("s:Q", "", ".3f"))
    line = data(rows).mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.75)
    marks = points([row for row in rows if not row["end"]], 60)
    return drawn(
        300,
        line.encode(**look, detail="stretch:N"),
        marks.encode(**look, shape=shape("series", known), tooltip=tooltip),
    )
