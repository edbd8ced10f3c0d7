"""A site's files, each made of no more than the results that are on it, so that any process can."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.results.result import Result, load_result
from reports import html
from reports.facts import baseline_name
from reports.run import page, view
from reports.site import charts
from reports.site import view as site_view
from reports.site.history import Series, experiments
from reports.site.rows import Row
from reports.sweep.page import across, sections

_LEVEL = 6
"""Of gzip: 9 takes five times as long, and saves 6 % (a result of 130 kB: 1.7 and 8.6 ms, 14.0 and 13.1 kB)."""

_SOMEWHERE = "\0to the root\0/"
"""The way up from a page whose place is not known yet. No text of a result has such characters on a page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A card and where its files are, relative to the page."""

    card: view.Card
    report: str
    json: str


@dataclass(frozen=True, slots=True)
class Member:
    """One result among others on a page. ``page``: its own, as seen from there."""

    file: Path
    name: str
    page: str


def result_page(file: Path, place: html.Place, *, drawn: bool) -> bytes:
    """One result's page; ``drawn``: with charts."""
    return _page(load_result(file), place, drawn=drawn)


def early_page(result: Result, row: Row, place: html.Place) -> bytes:
    """``result``'s page without charts, packed, before all rows and so its place are known: to read a file takes a fourth of the
    time that its page takes. ``place``: its style and scripts. For ``placed``."""
    somewhere = replace(place, root=_SOMEWHERE, history=history_file(row))
    return zlib.compress(_page(result, somewhere, drawn=False), 1)


def placed(early: bytes, root: str) -> bytes:
    """As ``result_page`` would have made it. ``root``: the way up from there."""
    return zlib.decompress(early).replace(_SOMEWHERE.encode(), root.encode())


def history_file(row: Row) -> str:
    """As seen from the site's folder."""
    return f"history/{row.experiment}.html"


def _page(result: Result, place: html.Place, *, drawn: bool) -> bytes:
    download = html.Download("result.json.gz", "result.json.gz")
    return page.render_in_site(result, place, download, charts=drawn).encode()


def packed(file: Path) -> bytes:
    """The raw data, gzipped."""
    return gzip.compress(file.read_bytes(), _LEVEL, mtime=0)


def together_page(members: Sequence[Member], place: html.Place) -> bytes:
    """What results say beside each other, and a card of each."""
    results = [load_result(each.file) for each in members]
    cards = [
        Entry(view.card(each.name, result), each.page, each.page.replace("index.html", "result.json.gz"))
        for each, result in zip(members, results, strict=True)
    ]
    return campaign_page(results, cards, place).encode()


def campaign_page(found: Sequence[Result], cards: Sequence[Entry], place: html.Place | None) -> str:
    """The same of results that are there already."""
    shown, drawn = sections(found), across(found)
    return html.render(
        "campaign.html",
        interactive=bool(shown or drawn),
        place=place,
        entries=cards,
        summary=view.index_summary([entry.card for entry in cards]),
        sections=shown,
        charts=drawn,
    )


def history_page(rows: Sequence[Row], newest: Path, place: html.Place) -> bytes:
    """Of one experiment's ``rows``, newest first; ``newest``: the file of the first."""
    (experiment,) = experiments(rows)
    baseline = baseline_name(load_result(newest))
    by_metric: dict[str, list[Series]] = {}
    for series in experiment.series:
        by_metric.setdefault(series.metric.key, []).append(series)
    drawn = [charts.chart(each, baseline) for each in by_metric.values()]
    shown = site_view.history(experiment)
    return html.render("history.html", interactive=True, place=place, page=shown, charts=drawn).encode()
