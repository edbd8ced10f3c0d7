"""Many results -> a folder to publish: an index, a page for each result, run and history, and the same for programs."""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.errors import ResultError
from harness.results.result import Result, load_result
from reports import html
from reports.facts import baseline_name
from reports.run import page, view
from reports.site import charts, feed, folder
from reports.site import view as site_view
from reports.site.gather import Source, gather
from reports.site.history import Experiment, Series, experiments, newest_of_each
from reports.site.rows import Row
from reports.sweep.page import across, sections

__all__ = ["Written", "write_index", "write_site"]

_ROWS: TypeAdapter[dict[str, Row]] = TypeAdapter(dict[str, Row])
_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Written:
    """``newest``: the file of the newest result of each kind. ``problems``: a line for each file that could not be used."""

    newest: tuple[Path, ...]
    results: int
    built: int
    pages: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A card and where its files are, relative to the page."""

    card: view.Card
    report: str
    json: str


def write_index(results: Mapping[str, Result], out: Path) -> None:
    """``out/index.html`` over results by their folders in ``out``, where their pages are. :raises ResultError: no room."""
    cards = [
        Entry(view.card(name, result), f"{name}/report.html", f"{name}/result.json") for name, result in results.items()
    ]
    html.write_whole(out / "index.html", _campaign(list(results.values()), cards, None))


def _campaign(found: Sequence[Result], cards: Sequence[Entry], place: html.Place | None) -> str:
    shown, drawn = sections(found), across(found)
    summary = view.index_summary([entry.card for entry in cards])
    interactive = bool(shown or drawn)
    return html.render(
        "campaign.html",
        interactive=interactive,
        place=place,
        entries=cards,
        summary=summary,
        sections=shown,
        charts=drawn,
    )


def write_site(files: Iterable[Path], out: Path) -> Written:
    """The site of the results in ``files``; of an older one in ``out`` what is the same stays.

    :raises UserError: ``out`` holds something else. :raises ResultError: no file can be used, or the site cannot be written; the
    older one is whole then.
    """
    kept = folder.known(out)
    try:
        known = {row.digest: row for row in _ROWS.validate_python(kept.get("rows", {})).values()}
    except ValidationError:
        known = {}
    found = gather(files, known)
    if not found.sources:
        others = f"; and {len(found.problems) - 1} more files" if len(found.problems) > 1 else ""
        raise ResultError(f"{found.problems[0] if found.problems else 'no file was given'}{others}")
    site = _Site(found.sources, found.problems)
    pages = site.pages()
    rows = _ROWS.dump_python({each.row.digest: each.row for each in found.sources}, mode="json")
    built = folder.renew(out, pages, {"rows": rows})
    return Written(site.newest(), len(found.sources), built, len(pages), found.problems)


class _Site:
    """What it consists of."""

    def __init__(self, sources: Sequence[Source], problems: Sequence[str]) -> None:
        self._sources, self._problems = sources, problems
        self._rows = [each.row for each in sources]
        self._experiments = experiments(self._rows)
        self._newest = newest_of_each(self._rows)
        self._runs = _names(row.run_id for row in self._rows)
        self._by_run: dict[str, list[Source]] = {}
        for each in sources:
            self._by_run.setdefault(each.row.run_id, []).append(each)
        self._assets = {
            name: f"assets/{name.partition('.')[0]}-{_digest(text)[:12]}.{name.partition('.')[2]}"
            for name, text in _assets().items()
        }

    def newest(self) -> tuple[Path, ...]:
        """The file of the newest result of each kind."""
        digests = [row.digest for row in self._newest]
        return tuple(each.file for each in self._sources if each.row.digest in digests)

    def pages(self) -> dict[str, folder.Page]:
        """By their files."""
        pages = {self._assets[name]: folder.Page(name, text.encode) for name, text in _assets().items()}
        newest = {row.digest for row in self._newest}
        for each in self._sources:
            where, drawn = self._folder(each.row), each.row.digest in newest
            key = f"{_made_by()} {each.row.digest} {drawn}"
            pages[f"{where}/index.html"] = folder.Page(key, functools.partial(self._result, each, drawn=drawn))
            pages[f"{where}/result.json.gz"] = folder.Page(each.row.digest, functools.partial(_packed, each.file))
        for run_id, own in self._by_run.items():
            if len(own) > 1:
                key = f"{_made_by()} {_digest(' '.join(each.row.digest for each in own))}"
                pages[f"{self._run(run_id)}/index.html"] = folder.Page(
                    key,
                    functools.partial(self._together, own, lambda row: f"{Path(self._folder(row)).name}/index.html", 2),
                )
        for experiment in self._experiments:
            key = f"{_made_by()} {_digest(' '.join(row.digest for row in experiment.rows))}"
            pages[f"history/{experiment.key}.html"] = folder.Page(key, functools.partial(self._history, experiment))
        if len(newest) > 1:
            own = [each for each in self._sources if each.row.digest in newest]
            key = f"{_made_by()} {_digest(' '.join(each.row.digest for each in own))}"
            pages["newest.html"] = folder.Page(key, functools.partial(self._together, own, self._page_of, 0))
        texts = {
            "history.csv": feed.history_csv(self._experiments),
            "history.json": feed.history_json(self._experiments),
            "feed.xml": feed.atom(self._experiments, self._rows, self._page_of),
            "method.html": html.render("method.html", place=self._place(0), definitions=view.every_definition()),
            "index.html": self._index(),
        }
        return pages | {name: folder.Page(_digest(text), text.encode) for name, text in texts.items()}

    def _run(self, run_id: str) -> str:
        return f"runs/{self._runs[run_id]}"

    def _folder(self, row: Row) -> str:
        own = self._by_run[row.run_id]
        return self._run(row.run_id) + (f"/{_names(each.row.name for each in own)[row.name]}" if len(own) > 1 else "")

    def _page_of(self, row: Row) -> str:
        return f"{self._folder(row)}/index.html"

    def _place(self, depth: int, row: Row | None = None) -> html.Place:
        history = f"history/{row.experiment}.html" if row else ""
        style, drawing, script = (self._assets[name] for name in ("style.css", "charts.js", "site.js"))
        return html.Place("../" * depth, style, drawing, script, "method.html", history)

    def _result(self, source: Source, *, drawn: bool) -> bytes:
        depth = self._folder(source.row).count("/") + 1
        download = html.Download("result.json.gz", "result.json.gz")
        return page.render_in_site(
            load_result(source.file), self._place(depth, source.row), download, charts=drawn
        ).encode()

    def _together(self, own: Sequence[Source], page_of: Callable[[Row], str], depth: int) -> bytes:
        """What results say beside each other, and a card of each; ``page_of``: as seen from there."""
        results = [load_result(each.file) for each in own]
        cards = [
            Entry(
                view.card(each.row.name, result),
                page_of(each.row),
                page_of(each.row).replace("index.html", "result.json.gz"),
            )
            for each, result in zip(own, results, strict=True)
        ]
        return _campaign(results, cards, self._place(depth)).encode()

    def _history(self, experiment: Experiment) -> bytes:
        baseline = baseline_name(load_result(next(s.file for s in self._sources if s.row is experiment.newest)))
        by_metric: dict[str, list[Series]] = {}
        for series in experiment.series:
            by_metric.setdefault(series.metric.key, []).append(series)
        drawn = [charts.chart(each, baseline) for each in by_metric.values()]
        shown = site_view.history(experiment)
        return html.render("history.html", interactive=True, place=self._place(1), page=shown, charts=drawn).encode()

    def _index(self) -> str:
        campaigns = {run_id: f"{self._run(run_id)}/index.html" for run_id, own in self._by_run.items() if len(own) > 1}
        shown = site_view.index(
            self._experiments,
            self._rows,
            self._problems,
            self._page_of,
            lambda row: campaigns.get(row.run_id, ""),
        )
        return html.render("site.html", place=self._place(0), page=shown)


@functools.cache
def _assets() -> dict[str, str]:
    return {"style.css": html.style(), "charts.js": html.page_script(), "site.js": html.site_script()}


@functools.cache
def _made_by() -> str:
    """A digest of all that makes pages: what another pageferry made is made anew."""
    here = Path(__file__).parents[1]
    files = sorted(path for path in here.rglob("*") if path.suffix in (".py", ".html", ".css", ".js"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _packed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)


def _names(labels: Iterable[str]) -> dict[str, str]:
    """A folder's name for each label: letters, digits, dots and dashes only, never hidden, each taken once."""
    names: dict[str, str] = {}
    for label in sorted(set(labels)):
        base = re.sub(r"[^A-Za-z0-9._+-]+", "-", label).strip(".-")[:_MOST_CHARACTERS] or "result"
        name, number = base, 1
        while name.lower() in (other.lower() for other in names.values()):
            number += 1
            name = f"{base}-{number}"
        names[label] = name
    return names
