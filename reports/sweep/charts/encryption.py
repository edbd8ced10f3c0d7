"""A group's CPU time with and without TLS, drawn."""

from __future__ import annotations

import altair as alt

from reports.drawing.chart import Chart, finished
from reports.drawing.parts import Datum, Spec, band_height, bands, colour, data, drawn, points, shape, tooltips
from reports.drawing.theme import value_scale
from reports.sweep.encryption import Group

_LINKS = ("plain", "TLS")


def chart(number: int, group: Group) -> Chart:
    """``number``: of the group on its page."""
    return finished(
        f"encryption-{number}",
        f"CPU time with and without TLS: {group.label}",
        "Median CPU time of both sides; the line between a method's two marks is what encrypting cost it. Further left is better.",
        _drawn(group),
    )


def _drawn(group: Group) -> Spec:
    rows: list[Datum] = [
        {"method": name, "link": link, "cpu": round(cpu_s, 3)}
        for name, cost in group.costs.items()
        for link, cpu_s in zip(_LINKS, (cost.plain_cpu_s, cost.cpu_s if cost.was_encrypted else None), strict=True)
        if cpu_s is not None
    ]
    scale = value_scale([row["cpu"] for row in rows])
    y = bands("method", list(group.costs), 0.5)
    x = alt.X("cpu:Q", title="CPU, both sides (s)", scale=scale)
    span = data(rows).transform_aggregate(least="min(cpu)", most="max(cpu)", groupby=["method"])
    return drawn(
        band_height(list(group.costs), 44),
        span.mark_rule(strokeWidth=2, opacity=0.5).encode(y=y, x=alt.X("least:Q", scale=scale), x2="most:Q"),
        points(rows, 90).encode(
            y=y,
            x=x,
            color=colour("link", _LINKS),
            shape=shape("link", _LINKS),
            tooltip=tooltips(("method:N",), ("link:N",), ("cpu:Q", "CPU s", ",.2f")),
        ),
    )
