"""A template and its values -> one HTML file that needs nothing else: style, script, charts and the raw JSON are inside it.

A content policy forbids every network request and every script but the page's own, by its hash: text from a result is inert
twice over, escaped and forbidden.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.results.saving import save_whole
from reports.drawing.bundle import javascript

_PLAIN_JSON_BYTES = 1_000_000  # above, the download is gzipped: browsers refuse data: links of more than about 2 MB


@dataclass(frozen=True, slots=True)
class Download:
    """The raw JSON as a link that works without a network and without JavaScript."""

    name: str
    href: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is that shares its style and scripts with others. ``root``: the way up; the rest as seen from there.

    ``charts``: empty where that script could not be made.
    """

    root: str
    style: str
    charts: str
    script: str
    method: str
    history: str = ""


def script_json(value: object) -> Markup:
    """JSON that may stand inside a ``<script>`` element: it can neither end the element nor open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing is left in it that HTML would read


@functools.cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["script_json"] = script_json
    return made


def page_script() -> str | None:
    """The page's one script: the bundle, then what replaces static charts. In a function: it leaves no names behind.

    None where it could not be bundled: the charts stay as they were drawn.
    """
    if (drawing := javascript()) is None:
        return None
    boot = _source("boot.js")
    return f"(function(){{\n{drawing}\n{boot}\n}})();".replace("\r", "")


def _source(name: str) -> str:
    loader = _templates().loader
    assert loader is not None  # noqa: S101 - for the type checker; _templates sets one
    return loader.get_source(_templates(), name)[0]


def site_script() -> str:
    """What a site's index does without a server: search and filters."""
    return _source("site.js")


def style() -> str:
    """The pages' one style sheet."""
    return _source("style.css")


def _policy(script: str | None, place: Place | None, *, interactive: bool) -> str:
    """Nothing from anywhere; the script only with this hash, or the site's. Vega compiles its expressions: ``unsafe-eval``."""
    allowed = "'none'"
    if place is not None:
        vega = " 'unsafe-eval'" if interactive else ""
        rest = "style-src 'self' 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
        return f"default-src 'none'; script-src 'self'{vega}; {rest}"
    if script is not None:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = f"'sha256-{digest}' 'unsafe-eval'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


def render(template: str, *, interactive: bool = False, place: Place | None = None, **values: Any) -> str:  # noqa: ANN401 - a template's own values
    """A page from one of our templates, with style and content policy; ``interactive``: with the script that draws charts.

    ``place``: it shares them with the other pages of a site; None: they are inside it.
    """
    script = page_script() if interactive and place is None else None
    interactive = bool(script if place is None else place.charts) and interactive
    return (
        _templates()
        .get_template(template)
        .render(
            style=Markup(style()),  # noqa: S704 - our own file
            script=None if script is None else Markup(script),  # noqa: S704 - our own, bundled
            policy=_policy(script, place, interactive=interactive),
            place=place,
            interactive=interactive,
            **values,
        )
    )


def download(name: str, raw: bytes) -> Download:
    """``raw`` JSON under ``name``, packed where it is large."""
    if len(raw) <= _PLAIN_JSON_BYTES:
        return Download(name, f"data:application/json;base64,{base64.b64encode(raw).decode()}")
    packed = gzip.compress(raw, mtime=0)
    return Download(f"{name}.gz", f"data:application/gzip;base64,{base64.b64encode(packed).decode()}")


def write_whole(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all. :raises ResultError: disk full, no access."""
    save_whole(text.encode(), path, "page")
