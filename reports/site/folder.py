"""A site's folder: what did not change stays, the rest is built aside in it and then moved, and what nobody needs any more goes.

``site.json.gz`` says of which each file was made. As a site's files are moved only once all are built, and none of them is replaced
in part, a full disk leaves the old site whole. What is not the site's own stays as it is.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.errors import ResultError, UserError
from reports.drawing import vega
from reports.site.crew import Crew

MANIFEST = "site.json.gz"
_ASIDE = ".pageferry-building"


@dataclass(frozen=True, slots=True)
class Page:
    """A file of the site. ``key``: the same as long as ``make``, which travels to other processes, would make the same.

    ``slow``: there are charts on it.
    """

    key: str
    make: Callable[[], bytes]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Renewed:
    """``count``: of files that were made. ``undrawn``: why charts are not on some of them."""

    count: int
    undrawn: str


@dataclass(frozen=True, slots=True)
class _Made:
    """``whole``: with every chart. ``undrawn``: why not, where that was not said before."""

    data: bytes
    whole: bool
    undrawn: str


def _made(make: Callable[[], bytes]) -> _Made:
    before = vega.missed()
    data = make()
    return _Made(data, vega.missed() == before, vega.undrawn())


def known(out: Path) -> dict[str, object]:
    """What the site there keeps for the next; nothing where there is none. :raises UserError: it is no folder of a site."""
    try:
        told = json.loads(gzip.decompress((out / MANIFEST).read_bytes()))
        return dict(told)
    except FileNotFoundError:
        if any(out.glob("result.json")) or any(out.glob("*/result.json")):
            raise UserError(f"{out}: has results in it, and is no site: choose another --out") from None
        return {}
    except NotADirectoryError as exc:
        raise ResultError(f"{out}: cannot write the site: {exc.strerror}; choose another --out") from exc
    except (OSError, EOFError, ValueError, TypeError, zlib.error):
        return {}  # of an older or a damaged site: all is built anew


def renew(out: Path, pages: Mapping[str, Page], kept: Mapping[str, object], crew: Crew) -> Renewed:
    """Make ``out`` consist of ``pages``, and keep ``kept`` for the next time. What lacks charts is made anew then.

    :raises ResultError: disk full, no access; the old site is whole then.
    """
    before = known(out).get("pages")
    before = before if isinstance(before, dict) else {}
    keys = {name: page.key for name, page in pages.items()}
    changed = [name for name, key in keys.items() if before.get(name) != key or not (out / name).is_file()]
    aside, undrawn = out / _ASIDE, vega.undrawn()
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        try:
            made = crew.each("files made", [partial(_made, pages[name].make) for name in changed])
            for name, page in zip(changed, made, strict=True):
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(page.data)
                keys[name] = keys[name] if page.whole else ""
                undrawn = undrawn or page.undrawn
            (aside / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
            (aside / MANIFEST).write_bytes(gzip.compress(json.dumps({"pages": keys, **kept}).encode(), mtime=0))
            (out / MANIFEST).unlink(missing_ok=True)  # while files move, it would say what is not so
            for name in [*sorted(changed, key=lambda each: each == "index.html"), MANIFEST]:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).replace(out / name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        for name in before.keys() - keys.keys():
            _remove(out, name)
    return Renewed(len(changed), undrawn)


def _remove(out: Path, name: str) -> None:
    """A page of before, and its folders where they are empty then."""
    path = out / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        return  # not written by us
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in path.relative_to(out).parents[:-1]:
            (out / folder).rmdir()


@contextlib.contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        words = exc.strerror or str(exc)
        raise ResultError(f"{out}: cannot write the site: {words}; free space or choose another --out") from exc
