"""Views and charts -> one HTML file that needs nothing else: style, script, charts and the raw JSON are inside it.

A content policy forbids every network request and every script but the page's own, by its hash: text from a result is inert
twice over, escaped and forbidden.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import TypeAdapter

from harness.results.result import Result
from harness.results.saving import save_whole
from reports.run import view
from reports.run.charts import build as charts

__all__ = [
    "Download",
    "download",
    "figures",
    "page_script",
    "render",
    "render_comparison",
    "render_report",
    "script_json",
    "write_comparison",
    "write_report",
    "write_whole",
]

_RESULT: TypeAdapter[Result] = TypeAdapter(Result)
_PLAIN_JSON_BYTES = 1_000_000  # above, the download is gzipped: browsers refuse data: links of more than about 2 MB


@dataclass(frozen=True, slots=True)
class Download:
    """The raw JSON as a link that works without a network and without JavaScript."""

    name: str
    href: str


def script_json(value: object) -> Markup:
    """JSON that may stand inside a ``<script>`` element: it can neither end the element nor open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing is left in it that HTML would read


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def page_script() -> str:
    """The page's one script: the bundle, then what replaces static charts. In a function: it leaves no names behind."""
    boot = _source("boot.js")
    return f"(function(){{\n{charts.javascript()}\n{boot}\n}})();".replace("\r", "")


def _source(name: str) -> str:
    loader = _templates().loader
    assert loader is not None  # noqa: S101 - for the type checker; _templates sets one
    return loader.get_source(_templates(), name)[0]


def _policy(script: str | None) -> str:
    """Nothing from anywhere; the script only with this hash. Vega compiles its expressions, hence ``unsafe-eval``."""
    allowed = "'none'"
    if script is not None:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        allowed = f"'sha256-{digest}' 'unsafe-eval'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


def render(template: str, *, script: str | None = None, **values: Any) -> str:  # noqa: ANN401 - a template's own values
    """A page from one of our templates, with style, content policy and (where given) its script."""
    page = _templates().get_template(template)
    return page.render(
        style=Markup(_source("style.css")),  # noqa: S704 - our own file
        script=None if script is None else Markup(script),  # noqa: S704 - our own, bundled
        policy=_policy(script),
        **values,
    )


def download(name: str, raw: bytes) -> Download:
    """``raw`` JSON under ``name``, packed where it is large."""
    if len(raw) <= _PLAIN_JSON_BYTES:
        return Download(name, f"data:application/json;base64,{base64.b64encode(raw).decode()}")
    packed = gzip.compress(raw, mtime=0)
    return Download(f"{name}.gz", f"data:application/gzip;base64,{base64.b64encode(packed).decode()}")


def figures(shown: Sequence[charts.Chart]) -> list[dict[str, Any]]:
    """Charts as the templates' ``figure_of`` takes them."""
    return [
        {
            "key": chart.key,
            "section": chart.section,
            "title": chart.title,
            "caption": chart.caption,
            "svg": Markup(chart.svg),  # noqa: S704 - Vega escapes every text that it draws; a test holds it to that
            "spec": script_json(chart.spec),
        }
        for chart in shown
    ]


def render_report(result: Result) -> str:
    """One result's page."""
    drawn = charts.build(result)
    return render(
        "report.html",
        script=page_script() if drawn.shown else None,
        page=view.page(result),
        charts=figures(drawn.shown),
        omitted=drawn.omitted,
        download=download("result.json", _RESULT.dump_json(result)),
    )


def render_comparison(a: Result, b: Result, labels: tuple[str, str] = ("A", "B")) -> str:
    """The page that compares ``b`` with ``a``."""
    return render("compare.html", page=view.compare(a, b, labels))


def write_whole(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all. :raises ResultError: disk full, no access."""
    save_whole(text.encode(), path, "page")


def write_report(result: Result, path: Path) -> None:
    """One result as one self-contained page, whole or not at all. :raises ResultError: it cannot be written."""
    write_whole(path, render_report(result))


def write_comparison(a: Result, b: Result, path: Path, labels: tuple[str, str] = ("A", "B")) -> None:
    """``b`` against ``a`` as one page, whole or not at all. :raises ResultError: it cannot be written."""
    write_whole(path, render_comparison(a, b, labels))
