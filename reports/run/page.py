"""One result as a page, and two results beside each other, as HTML files that need nothing else."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from harness.results.result import Result
from reports import html
from reports.run import view
from reports.run.charts.build import build
from reports.run.comparison import Comparison

__all__ = ["render_comparison", "render_report", "write_comparison", "write_report"]

_RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def render_report(result: Result) -> str:
    """One result's page."""
    drawn = build(result)
    return html.render(
        "report.html",
        interactive=bool(drawn.shown),
        page=view.page(result),
        charts=drawn.shown,
        omitted=drawn.omitted,
        download=html.download("result.json", _RESULT.dump_json(result)),
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
