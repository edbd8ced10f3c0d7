"""Result files -> rows, and a line for each file that cannot be used: damaged, foreign, newer, edited, or there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import ResultError
from harness.results.result import load_result
from reports.site.rows import Row, row_of

__all__ = ["Found", "Source", "gather"]


@dataclass(frozen=True, slots=True)
class Source:
    """A row and the file that it is of."""

    row: Row
    file: Path


@dataclass(frozen=True, slots=True)
class Found:
    """``sources``: newest first. ``problems``: a line each, with the file."""

    sources: tuple[Source, ...]
    problems: tuple[str, ...]


def gather(files: Iterable[Path], known: Mapping[str, Row]) -> Found:
    """Read ``files``; ``known`` are rows by the digest of their file, which need not be read again."""
    sources: dict[tuple[str, str], Source] = {}
    problems = []
    for file in dict.fromkeys(path.resolve() for path in files):
        try:
            row = _row(file, known)
        except ResultError as exc:
            problems.append(str(exc))
            continue
        first = sources.setdefault((row.run_id, row.name), Source(row, file))
        if first.file != file:
            words = "is a copy of" if first.row.digest == row.digest else "has the run id and scenario of"
            problems.append(f"{file}: {words} {first.file}, and is left out")
    ordered = sorted(
        sources.values(), key=lambda each: (each.row.started, each.row.run_id, each.row.name), reverse=True
    )
    return Found(tuple(ordered), tuple(problems))


def _row(file: Path, known: Mapping[str, Row]) -> Row:
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as exc:
        raise ResultError(f"{file}: cannot read the result: {exc.strerror}") from exc
    if (row := known.get(digest)) is not None:
        return row
    result = load_result(file)
    try:
        return replace(row_of(result, digest))
    except ResultError as exc:
        raise ResultError(f"{file}: {exc}") from exc
