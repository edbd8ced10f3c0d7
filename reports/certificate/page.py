"""Certificates -> HTML files that need nothing else: one certificate's page, and two certificates side by side.

Every text of a certificate may be a plug-in's or a device's: it is made printable here, and the templates escape it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.results.certificate import Certificate, dump_certificate
from reports import html
from reports.certificate import view as certificate_view
from reports.certificate.charts.subjects import subjects
from reports.certificate.comparison import ComparisonRow, compare_certificates, comparison_rows
from reports.printable import printable

__all__ = [
    "ComparisonRow",
    "comparison_rows",
    "render_certificate",
    "render_certificate_comparison",
    "write_certificate_comparison",
    "write_certificate_page",
]


def render_certificate(certificate: Certificate, doubts: Sequence[str] = ()) -> str:
    """A certificate's page. ``doubts``: sentences on what is not as shipped, which stand with the verdict."""
    shown = printable(certificate)
    drawn = subjects(shown)
    return html.render(
        "certificate.html",
        interactive=any(subject.charts for subject in drawn),
        page=certificate_view.page(shown, printable(tuple(doubts))),
        subjects=drawn,
        download=html.download("certificate.json", dump_certificate(certificate)),
    )


def render_certificate_comparison(a: Certificate, b: Certificate, labels: tuple[str, str] = ("A", "B")) -> str:
    """The page that compares ``b`` with ``a``."""
    view = compare_certificates(printable(a), printable(b), printable(labels))
    return html.render("certificates.html", page=view)


def write_certificate_page(certificate: Certificate, path: Path, doubts: Sequence[str] = ()) -> None:
    """A certificate as one self-contained page, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_certificate(certificate, doubts))


def write_certificate_comparison(
    a: Certificate, b: Certificate, path: Path, labels: tuple[str, str] = ("A", "B")
) -> None:
    """``b`` against ``a`` as one page, whole or not at all. :raises ResultError: it cannot be written."""
    html.write_whole(path, render_certificate_comparison(a, b, labels))
