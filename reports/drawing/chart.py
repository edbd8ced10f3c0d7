"""A chart as pages hold it: a Vega-Lite spec and a static SVG of it, both without a network. Knows nothing of what is drawn.

The SVG is what a page shows first, prints, and keeps where JavaScript is off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from reports.drawing import vega
from reports.drawing.bundle import VEGALITE
from reports.drawing.parts import Spec
from reports.drawing.theme import CONFIG
from reports.printable import printable

_STATIC_WIDTH = 640
_PLACES, _BEYOND = re.compile(r'\b(?:d|transform|[xy][12]?)="[^"]*"'), re.compile(r"(?<=\d\.\d\d)\d+")

Section = Literal["charts", "felt", "offload", "choices"]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. ``spec`` is for a container of any width, ``svg`` is drawn at one width; empty: it could not be drawn.

    ``section``: the part of the page that it stands in.
    """

    key: str
    title: str
    caption: str
    spec: dict[str, Any]
    svg: str
    section: Section


def finished(key: str, title: str, caption: str, drawn: Spec, section: Section = "charts") -> Chart:
    """A chart of ``drawn``, a spec without width or theme. ``key`` is the page's own and unique on it."""
    spec = {**printable(drawn), "config": CONFIG, "width": "container"}
    return Chart(key, title, caption, spec, _static(key, spec), section)


def _static(key: str, spec: dict[str, Any]) -> str:
    """The SVG of ``spec``, shorter than Vega's. Identifiers get the chart's key: several SVGs share one page."""
    svg = vega.svg({**spec, "width": _STATIC_WIDTH}, VEGALITE) or ""
    svg = re.sub("<[^>]+>", _shorter, svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)


def _shorter(tag: re.Match[str]) -> str:
    """An element without what says nothing, its places to a hundredth of a pixel where Vega has a billionth."""
    return _PLACES.sub(lambda place: _BEYOND.sub("", place[0]), tag[0].replace(' opacity="1"', ""))
