"""Many results -> a folder to publish: an index, and per result its page and its JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.results.result import Result, save_result
from reports import html
from reports.run import page, view
from reports.sweep.page import across, sections

__all__ = ["write_index", "write_site"]

_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """A card and where its files are, relative to the index."""

    card: view.Card
    report: str
    json: str


def _folders(labels: Iterable[str]) -> list[str]:
    """A folder name for each label: letters, digits, dots and dashes only, never hidden, each taken once."""
    taken: list[str] = []
    for label in labels:
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip(".-")[:_MOST_CHARACTERS] or "result"
        name, number = base, 1
        while name.lower() in (other.lower() for other in taken):
            number += 1
            name = f"{base}-{number}"
        taken.append(name)
    return taken


def write_site(results: Sequence[tuple[str, Result]], out: Path) -> None:
    """``out/index.html`` over all results, and ``out/LABEL/{report.html,result.json}`` for each.

    Each file is whole or absent, and the index comes last: it never links to a page that is not there.
    :raises ResultError: a file cannot be written.
    """
    folders = _folders(label for label, _ in results)
    for (_, result), folder in zip(results, folders, strict=True):
        save_result(result, out / folder / "result.json")
        page.write_report(result, out / folder / "report.html")
    _write_index(results, folders, out)


def write_index(results: Mapping[str, Result], out: Path) -> None:
    """``out/index.html`` over results by their folders in ``out``, where their pages are. :raises ResultError: no room."""
    _write_index(list(results.items()), list(results), out)


def _write_index(results: Sequence[tuple[str, Result]], folders: Sequence[str], out: Path) -> None:
    entries = [
        Entry(view.card(label, result), f"{folder}/report.html", f"{folder}/result.json")
        for (label, result), folder in zip(results, folders, strict=True)
    ]
    found = [result for _, result in results]
    shown, charts = sections(found), across(found)
    index = html.render(
        "index.html",
        interactive=bool(shown or charts),
        entries=entries,
        summary=view.index_summary([entry.card for entry in entries]),
        sections=shown,
        charts=charts,
    )
    html.write_whole(out / "index.html", index)
