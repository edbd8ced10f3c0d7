"""The history of one metric in one experiment: a line for each method, its intervals, and where it changed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import altair as alt

from reports.drawing import parts
from reports.drawing.chart import Chart, finished
from reports.drawing.theme import INK
from reports.intervals import interval_sentence
from reports.site.history import Series, shift_text

_HEIGHT = 220


def chart(series: Sequence[Series], baseline: str | None) -> Chart:
    """``series``: of one metric, at least one."""
    metric, names = series[0].metric, [each.method for each in series]
    rows = [row for each in series for row in _rows(each)]
    marks = [{"night": shift.row.started, "what": shift_text(each, shift)} for each in series for shift in each.shifts]
    across = alt.X("night:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True))
    up = alt.Y("share:Q", title="% of the method's own median", scale=alt.Scale(zero=False, nice=True))
    told = parts.tooltips(("method:N",), ("night:T", "night"), ("value:Q", metric.heading, ".4~g"), ("run:N",))
    colour, shape = parts.colour("method", names, baseline), parts.shape("method", names)
    layers = [
        parts.data(rows).mark_rule(opacity=0.5).encode(x=across, y="low:Q", y2="high:Q", color=colour),
        parts.data(rows).mark_line(strokeWidth=1.5).encode(x=across, y=up, color=colour),
        parts.points(rows, 34).encode(x=across, y=up, color=colour, shape=shape, tooltip=told),
    ]
    if marks:
        rule = parts.data(marks).mark_rule(strokeDash=[4, 3], color=INK)
        layers.append(rule.encode(x=across, tooltip=parts.tooltips(("what:N",))))
    counts = [figure.n for each in series for _, figure in each.points]
    caption = (
        f"Each result's median, in percent of the median of all of the method's. {interval_sentence(counts, 'Upright lines')} A "
        "dashed line stands where a method went over to another level."
    )
    return finished(metric.key, metric.title, caption, parts.drawn(_HEIGHT, *layers))


def _rows(series: Series) -> list[parts.Datum]:
    typical = median(figure.median for _, figure in series.points) or 1.0
    return [
        {
            "night": row.started,
            "run": row.run_id,
            "method": series.method,
            "value": round(figure.median * series.metric.unit.factor, 4),
            "share": round(figure.median / typical * 100, 3),
            "low": round(figure.low / typical * 100, 3),
            "high": round(figure.high / typical * 100, 3),
        }
        for row, figure in series.points
    ]
