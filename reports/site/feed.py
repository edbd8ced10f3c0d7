"""The site for programs: every figure as CSV and JSON, and an Atom feed of what changed and what failed."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from reports.printable import printable
from reports.site.history import Experiment, Series, Shift, shift_text
from reports.site.rows import Figure, Row

_ATOM = "http://www.w3.org/2005/Atom"
_MOST_ENTRIES = 100
_HEADINGS = (
    "started", "run_id", "scenario", "method", "metric", "unit", "median", "low", "high", "n",
    "link", "machine", "host", "version", "commit", "tags", "experiment", "change", "p_value",
)  # fmt: skip


def history_csv(found: Sequence[Experiment]) -> str:
    """A line for each method and metric of each result; ``change``: by which share a new level begins there."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADINGS)
    for experiment, series in _every(found):
        shifts = {shift.change.at: shift.change for shift in series.shifts}
        for index, (row, figure) in enumerate(series.points):
            change = shifts.get(index)
            cells = [
                *(row.started, row.run_id, row.name, series.method, series.metric.key, series.metric.unit.stored),
                *(figure.median, figure.low, figure.high, figure.n),
                *(row.link, row.machine, row.host, row.version, row.commit, " ".join(row.tags), experiment.key),
                *((change.shift, change.p_value) if change else ("", "")),
            ]
            writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def history_json(found: Sequence[Experiment]) -> str:
    """The same as series, with their changes."""
    return json.dumps(
        {"schema": 1, "series": [_told(*each) for each in _every(found)]}, separators=(",", ":"), allow_nan=False
    )


def atom(found: Sequence[Experiment], rows: Sequence[Row], page_of: Callable[[Row], str]) -> str:
    """Newest first. Links are relative to the feed; what a reader knows an entry by follows from what it says and links to."""
    entries = [_changed(experiment, series, shift) for experiment, series in _every(found) for shift in series.shifts]
    entries += [
        (row.started, f"failed: {row.name}: {' '.join(row.failures)}", page_of(row)) for row in rows if row.failures
    ]
    entries.sort(reverse=True)
    feed = ET.Element("feed", xmlns=_ATOM)
    _put(feed, "title", "pageferry: what changed, and what failed")
    _put(feed, "id", _urn("feed"))
    _put(feed, "updated", entries[0][0] if entries else (rows[0].started if rows else "1970-01-01T00:00:00Z"))
    _put(_put(feed, "author", ""), "name", "pageferry")
    for updated, title, link in entries[:_MOST_ENTRIES]:
        entry = _put(feed, "entry", "")
        _put(entry, "title", title)
        _put(entry, "id", _urn(f"{updated} {title} {link}"))
        _put(entry, "updated", updated)
        _put(entry, "link", "").set("href", link)
    ET.indent(feed)
    return ET.tostring(feed, encoding="unicode", xml_declaration=True)


def _changed(experiment: Experiment, series: Series, shift: Shift) -> tuple[str, str, str]:
    title = f"{'worse' if shift.worse else 'better'}: {shift.row.name}: {shift_text(series, shift)}"
    return shift.row.started, title, f"history/{experiment.key}.html#{series.anchor}"


def _every(found: Sequence[Experiment]) -> Iterator[tuple[Experiment, Series]]:
    return ((experiment, series) for experiment in found for series in experiment.series)


def _told(experiment: Experiment, series: Series) -> dict[str, Any]:
    newest = experiment.newest
    return {
        "experiment": experiment.key,
        "scenario": newest.name,
        "method": series.method,
        "metric": series.metric.key,
        "unit": series.metric.unit.stored,
        "link": newest.link,
        "machine": newest.machine,
        "points": [_point(*each) for each in series.points],
        "changes": [
            {"run_id": each.row.run_id, "shift": each.change.shift, "p_value": each.change.p_value, "worse": each.worse}
            for each in series.shifts
        ],
    }


def _point(row: Row, figure: Figure) -> dict[str, Any]:
    named = {"run_id": row.run_id, "started": row.started, "commit": row.commit}
    return named | {"median": figure.median, "interval": [figure.low, figure.high], "n": figure.n}


def _inert(text: str) -> str:
    """As no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _urn(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"pageferry:{name}").urn


def _put(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, name)
    element.text = printable(text)
    return element
