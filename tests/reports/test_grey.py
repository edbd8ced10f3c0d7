"""On a grey print, and to who sees few colours, charts say the same."""

from __future__ import annotations

import json
import re

import pytest
import rendered
from every_sample import SAMPLES

_TOLD_BY = ("shape", "strokeDash", "x", "y", "xOffset", "yOffset")
"""Channels that show of which series a mark is, as colour does."""

PAGES = {
    **{name: lambda name=name: rendered.report(name) for name in (*SAMPLES, "convergence")},
    "certificate": lambda: rendered.certificate("passing"),
    "advice": rendered.advice,
    "bench": rendered.bench,
}


def specs(page: str) -> list[dict]:
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    return [spec for text in found if isinstance(spec := json.loads(text), dict) and "encoding" in text]


def rows_of(spec: dict, layer: dict) -> list[dict]:
    named = layer.get("data", spec.get("data", {}))
    return spec.get("datasets", {}).get(named.get("name"), named.get("values", []))


def told_by_colour_alone(spec: dict) -> set[str]:
    """Fields of which a spec's marks have several colours, and nothing else that tells them apart."""
    layers = spec.get("layer", [spec])
    marks = [(layer["encoding"], rows_of(spec, layer)) for layer in layers]
    tinted = {
        field: names
        for encoding, rows in marks
        if (field := encoding.get("color", {}).get("field")) and encoding["color"].get("type") == "nominal"
        if len(names := {str(row.get(field)) for row in rows}) > 1
    }
    told = {encoding[channel].get("field") for encoding, _ in marks for channel in _TOLD_BY if channel in encoding}
    lettered = [(row, encoding["text"]["field"]) for encoding, rows in marks if "text" in encoding for row in rows]
    told |= {field for row, _ in lettered for field in row}  # numbers on bars, where they are wide enough
    titles = {str(row[field]) for row, field in lettered}
    return {
        field
        for field, names in tinted.items()
        if field not in told and not all(any(title.startswith(name) for title in titles) for name in names)
    }


@pytest.mark.parametrize("name", PAGES)
def test_no_chart_tells_series_apart_by_colour_alone(name):
    found = {spec_name(spec): told for spec in specs(PAGES[name]()) if (told := told_by_colour_alone(spec))}
    assert found == {}


def spec_name(spec: dict) -> str:
    return str(spec.get("layer", [spec])[0]["encoding"])[:80]


def test_colour_alone_is_seen_where_it_is():
    rows = [{"s": 1, "method": "a"}, {"s": 2, "method": "b"}]
    colour, place = {"field": "method", "type": "nominal"}, {"field": "s", "type": "quantitative"}
    spec = {"data": {"values": rows}, "mark": "line", "encoding": {"x": place, "color": colour}}
    assert told_by_colour_alone(spec) == {"method"}
    assert told_by_colour_alone({**spec, "encoding": {**spec["encoding"], "strokeDash": colour}}) == set()
    assert told_by_colour_alone({**spec, "data": {"values": rows[:1]}}) == set()
