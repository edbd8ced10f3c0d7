"""A fault matrix as one self-contained page."""

from __future__ import annotations

from pathlib import Path

from harness.results.faults import FaultMatrix, dump_faults
from reports import html
from reports.faults.view import faults_view
from reports.printable import printable


def render_faults(matrix: FaultMatrix) -> str:
    """The page."""
    shown = printable(matrix)
    return html.render(
        "faults.html",
        page=faults_view(shown),
        matrix=shown,
        download=html.download("faults.json", dump_faults(matrix)),
    )


def write_faults(matrix: FaultMatrix, path: Path) -> None:
    """One file, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_faults(matrix))
