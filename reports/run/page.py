"""One result as a page, and two results beside each other, as HTML files that need nothing else."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from harness.results.result import Result
from reports import html
from reports.run import view
from reports.run.charts.build import Charts, build
from reports.run.comparison import Comparison

_RESULT: TypeAdapter[Result] = TypeAdapter(Result)
_NOT_DRAWN = (
    "A site draws the charts of the newest result of each kind. `pageferry report` on this one's folder draws its."
)


def render_report(result: Result) -> str:
    """One result's page."""
    return _render(result, build(result), html.download("result.json", _RESULT.dump_json(result)), None)


def render_in_site(result: Result, place: html.Place, download: html.Download, *, charts: bool) -> str:
    """The same as a page of a site, which has its style, its scripts and the raw data once; ``charts``: with them."""
    return _render(result, build(result) if charts else Charts((), (_NOT_DRAWN,)), download, place, lean=not charts)


def _render(
    result: Result, drawn: Charts, download: html.Download, place: html.Place | None, *, lean: bool = False
) -> str:
    """``lean``: as ``view.page`` has it."""
    return html.render(
        "report.html",
        interactive=bool(drawn.shown),
        place=place,
        page=view.page(result, lean=lean),
        charts=drawn.shown,
        omitted=drawn.omitted,
        download=download,
    )


def render_comparison(compared: Comparison) -> str:
    """The page of two results beside each other."""
    return html.render("compare.html", page=compared)


def write_report(result: Result, path: Path) -> None:
    """One result as one self-contained page, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_report(result))


def write_comparison(compared: Comparison, path: Path) -> None:
    """Two results beside each other as one page, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_comparison(compared))
