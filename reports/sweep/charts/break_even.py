"""A group's break-evens drawn: the model's curves, and what was measured."""

from __future__ import annotations

from reports.drawing.chart import Chart, finished
from reports.drawing.model_curves import against_none
from reports.sweep.break_even import Group


def chart(number: int, group: Group) -> Chart:
    """``number``: of the group on its page."""
    measured_none = {p.bandwidth_bytes_per_s: p.measured_s for p in group.points if p.method == group.none}
    measured = [
        (p.method, p.bandwidth_bytes_per_s, p.measured_s / measured_none[p.bandwidth_bytes_per_s])
        for p in group.points
        if p.bandwidth_bytes_per_s in measured_none
    ]
    bounds = {name: group.break_even(name) for name in group.costs if name != group.none}
    return finished(
        f"break-even-{number}",
        f"Time against no compression, by bandwidth: {group.label}",
        "Lines are the model, filled marks the medians that were measured. Below 1 a method pays; a ring is where it stops paying.",
        against_none(group.costs, group.none, group.link_at, break_evens=bounds, measured=measured),
    )
