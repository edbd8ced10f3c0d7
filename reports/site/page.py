"""Many results -> a folder to publish: an index, a page for each result, run and history, and the same for programs."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.errors import ResultError
from harness.results.result import Result
from reports import html
from reports.run import view
from reports.site import feed, folder, making
from reports.site import view as site_view
from reports.site.crew import Crew, Seen
from reports.site.gather import Source, gather
from reports.site.history import experiments, newest_of_each
from reports.site.making import Entry, campaign_page
from reports.site.rows import Row

_ROWS: TypeAdapter[dict[str, Row]] = TypeAdapter(dict[str, Row])
_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Written:
    """``newest``: the file of the newest result of each kind. ``problems``: a line for each file that could not be used.

    ``undrawn``: why pages lack charts, where they do.
    """

    newest: tuple[Path, ...]
    results: int
    built: int
    pages: int
    problems: tuple[str, ...]
    undrawn: str


def write_index(results: Mapping[str, Result], out: Path) -> None:
    """``out/index.html`` over results by their folders in ``out``, where their pages are. :raises ResultError: no room."""
    cards = [
        Entry(view.card(name, result), f"{name}/report.html", f"{name}/result.json") for name, result in results.items()
    ]
    html.write_whole(out / "index.html", campaign_page(list(results.values()), cards, None))


def write_site(files: Iterable[Path], out: Path, processes: int = 1, seen: Seen = lambda *_: None) -> Written:
    """The site of the results in ``files``; of an older one in ``out`` what is the same stays.

    ``processes``: that may work beside this one, where there is enough to do; the files are the same for any number.

    :raises UserError: ``out`` holds something else. :raises ResultError: no file can be used, or the site cannot be written; the
    older one is whole then.
    """
    kept = folder.known(out)
    try:
        known = {row.digest: row for row in _ROWS.validate_python(kept.get("rows", {})).values()}
    except ValidationError:
        known = {}
    with closing(Crew(processes, seen)) as crew:
        assets = _Assets()
        found = gather(files, known, assets.place(0), crew)
        if not found.sources:
            others = f"; and {len(found.problems) - 1} more files" if len(found.problems) > 1 else ""
            raise ResultError(f"{found.problems[0] if found.problems else 'no file was given'}{others}")
        site = _Site(found.sources, found.problems, assets)
        pages = site.pages()
        rows = _ROWS.dump_python({each.row.digest: each.row for each in found.sources}, mode="json")
        built = folder.renew(out, pages, {"rows": rows}, crew)
    return Written(site.newest(), len(found.sources), built.count, len(pages), found.problems, built.undrawn)


class _Assets:
    """What pages share: style and scripts. ``texts``: by their files."""

    def __init__(self) -> None:
        texts = {"style.css": html.style(), "charts.js": html.page_script(), "site.js": html.site_script()}
        made = {name: text for name, text in texts.items() if text is not None}  # the charts' script may be missing
        self._files = {
            name: f"assets/{name.partition('.')[0]}-{_digest(text)[:12]}.{name.partition('.')[2]}"
            for name, text in made.items()
        }
        self.texts = {self._files[name]: text for name, text in made.items()}

    def place(self, depth: int, row: Row | None = None) -> html.Place:
        """Of a page so many folders down; ``row``: of its result."""
        style, drawing, script = (self._files.get(name, "") for name in ("style.css", "charts.js", "site.js"))
        return html.Place("../" * depth, style, drawing, script, "method.html", making.history_file(row) if row else "")


class _Site:
    """What it consists of."""

    def __init__(self, sources: Sequence[Source], problems: Sequence[str], assets: _Assets) -> None:
        self._sources, self._problems = sources, problems
        self._rows = [each.row for each in sources]
        self._experiments = experiments(self._rows)
        self._newest = newest_of_each(self._rows)
        self._runs = _names(row.run_id for row in self._rows)
        self._by_run: dict[str, list[Source]] = {}
        for each in sources:
            self._by_run.setdefault(each.row.run_id, []).append(each)
        self._assets, self._place = assets, assets.place

    def newest(self) -> tuple[Path, ...]:
        """The file of the newest result of each kind."""
        digests = [row.digest for row in self._newest]
        return tuple(each.file for each in self._sources if each.row.digest in digests)

    def pages(self) -> dict[str, folder.Page]:
        """By their files; those that take longest come first."""
        newest = {row.digest for row in self._newest}
        every = [*self._histories(), *self._campaigns(newest), *self._results(newest), *self._rest()]
        return dict(sorted(every, key=lambda each: not each[1].slow))

    def _histories(self) -> Iterator[tuple[str, folder.Page]]:
        files = {each.row.digest: each.file for each in self._sources}
        for each in self._experiments:
            make = partial(making.history_page, each.rows, files[each.newest.digest], self._place(1))
            yield making.history_file(each.newest), folder.Page(self._key(*each.rows), make, slow=True)

    def _campaigns(self, newest: set[str]) -> Iterator[tuple[str, folder.Page]]:
        """A page for each run of several results, and one for the newest of each kind."""
        groups = [(f"{self._run(run_id)}/", 2, own) for run_id, own in self._by_run.items()]
        groups.append(("", 0, [each for each in self._sources if each.row.digest in newest]))
        for where, depth, own in groups:
            if len(own) > 1:
                shown = [
                    making.Member(each.file, each.row.name, self._page_of(each.row).removeprefix(where)) for each in own
                ]
                make = partial(making.together_page, shown, self._place(depth))
                name = f"{where}index.html" if where else "newest.html"
                yield name, folder.Page(self._key(*(each.row for each in own)), make, slow=True)

    def _results(self, newest: set[str]) -> Iterator[tuple[str, folder.Page]]:
        for each in self._sources:
            where, drawn = self._folder(each.row), each.row.digest in newest
            place = self._place(where.count("/") + 1, each.row)
            if each.page and not drawn:
                make = partial(making.placed, each.page, place.root)
            else:
                make = partial(making.result_page, each.file, place, drawn=drawn)
            yield f"{where}/index.html", folder.Page(f"{self._key(each.row)} {drawn}", make, slow=drawn)
            yield f"{where}/result.json.gz", folder.Page(each.row.digest, partial(making.packed, each.file))

    def _rest(self) -> Iterator[tuple[str, folder.Page]]:
        """What is made here, for all of it is in the rows."""
        texts = self._assets.texts | {
            "history.csv": feed.history_csv(self._experiments),
            "history.json": feed.history_json(self._experiments),
            "feed.xml": feed.atom(self._experiments, self._rows, self._page_of),
            "method.html": html.render("method.html", place=self._place(0), definitions=view.every_definition()),
            "index.html": self._index(),
        }
        return ((name, folder.Page(_digest(text), text.encode)) for name, text in texts.items())

    def _key(self, *rows: Row) -> str:
        """Of a page on them: other results, another pageferry or other scripts make it anew."""
        return _digest(" ".join([_made_by(), *self._assets.texts, *(row.digest for row in rows)]))

    def _run(self, run_id: str) -> str:
        return f"runs/{self._runs[run_id]}"

    def _folder(self, row: Row) -> str:
        own = self._by_run[row.run_id]
        return self._run(row.run_id) + (f"/{_names(each.row.name for each in own)[row.name]}" if len(own) > 1 else "")

    def _page_of(self, row: Row) -> str:
        return f"{self._folder(row)}/index.html"

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
def _made_by() -> str:
    """A digest of all that makes pages: what another pageferry made is made anew."""
    here = Path(__file__).parents[1]
    files = sorted(path for path in here.rglob("*") if path.suffix in (".py", ".html", ".css", ".js"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _names(labels: Iterable[str]) -> dict[str, str]:
    """A folder's name for each label: letters, digits, dots and dashes only, never hidden, each taken once."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(set(labels)):
        base = re.sub(r"[^A-Za-z0-9._+-]+", "-", label).strip(".-")[:_MOST_CHARACTERS] or "result"
        name, number = base, 1
        while name.lower() in taken:
            number += 1
            name = f"{base}-{number}"
        names[label] = name
        taken.add(name.lower())
    return names
