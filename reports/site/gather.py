"""Result files -> rows, and a line for each file that cannot be used: damaged, foreign, newer, edited, or there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.errors import ResultError
from harness.results.result import load_result
from reports import html
from reports.site import making
from reports.site.crew import Crew
from reports.site.rows import Row, row_of


@dataclass(frozen=True, slots=True)
class Source:
    """A row and the file that it is of. ``page``: made with it, where the file was read for that; ``making.placed`` takes it."""

    row: Row
    file: Path
    page: bytes = b""


@dataclass(frozen=True, slots=True)
class Found:
    """``sources``: newest first. ``problems``: a line each, with the file."""

    sources: tuple[Source, ...]
    problems: tuple[str, ...]


def gather(files: Iterable[Path], known: Mapping[str, Row], place: html.Place, crew: Crew) -> Found:
    """Read ``files``; ``known`` are rows by the digest of their file, which need not be read again. ``place``: as
    ``making.early_page`` has it."""
    every = dict.fromkeys(path.resolve() for path in files)
    sources: dict[tuple[str, str], Source] = {}
    problems = []
    for file, source in _sources(list(every), known, place, crew):
        if isinstance(source, str):
            problems.append(source)
            continue
        row = source.row
        first = sources.setdefault((row.run_id, row.name), source)
        if first.file != file:
            words = "is a copy of" if first.row.digest == row.digest else "has the run id and scenario of"
            problems.append(f"{file}: {words} {first.file}, and is left out; remove one of the two")
    ordered = sorted(
        sources.values(), key=lambda each: (each.row.started, each.row.run_id, each.row.name), reverse=True
    )
    return Found(tuple(ordered), tuple(problems))


def _sources(
    files: Sequence[Path], known: Mapping[str, Row], place: html.Place, crew: Crew
) -> Iterator[tuple[Path, Source | str]]:
    """Of each file its row, or the line that says why it has none."""
    found = {file: known.get(_digest(file)) for file in files}
    unknown = [file for file, row in found.items() if row is None]
    read = dict(zip(unknown, crew.each("results read", [partial(_read, file, place) for file in unknown]), strict=True))
    return ((file, Source(row, file) if row else read[file]) for file, row in found.items())


def _digest(file: Path) -> str:
    """Empty where it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _read(file: Path, place: html.Place) -> Source | str:
    try:
        result = load_result(file)
    except ResultError as exc:
        return str(exc)
    try:
        row = row_of(result, _digest(file))
    except ResultError as exc:
        return f"{file}: {exc}"
    return Source(row, file, making.early_page(result, row, place))
