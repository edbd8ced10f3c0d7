"""Documents that outlive us: a dataclass to JSON and back, checked at the border. Knows none of them by name.

JSON Schema version 1 of each: fields are added, never renamed, so that older files stay readable.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from harness.errors import ResultError
from harness.results.identity import LATEST
from harness.results.saving import save_whole

Scalar = str | int | float | bool | None


class _Versioned(Protocol):
    @property
    def schema(self) -> int: ...


T = TypeVar("T", bound=_Versioned)

_NOT_FINITE = (b"NaN", b"Infinity")
_PERHAPS_NOT_FINITE = (re.compile(rb"e(?<=[0-9]e)\+?[0-9]{3}"), re.compile(rb"E(?<=[0-9]E)\+?[0-9]{3}"))
"""Rare, and cheaper to look for than to look at every number; each apart, and by a letter, is cheapest."""


class Document(Generic[T]):
    """One kind of document. ``name``: what errors call it, and its file in a folder without ``.json``."""

    def __init__(self, model: type[T], name: str, newest_schema: int) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(model)
        self._name = name
        self._newest_schema = newest_schema

    def json_schema(self) -> dict[str, Any]:
        """What a file of this kind holds, as JSON Schema."""
        return self._adapter.json_schema(mode="serialization")

    def dump(self, document: T) -> bytes:
        """As JSON."""
        return self._adapter.dump_json(document, indent=1)

    def save(self, document: T, path: Path) -> None:
        """Write ``path`` whole or not at all. :raises ResultError: disk full, no access."""
        save_whole(self.dump(document), path, self._name)

    def file_of(self, path: Path) -> Path:
        """``path``; where it is a folder, the file in it, or else in the newest run's folder in it."""
        own, newest = path / f"{self._name}.json", path / LATEST / f"{self._name}.json"
        if not path.is_dir():
            return path
        return newest if newest.is_file() and not own.exists() else own

    def read(self, path: Path) -> T:
        """A file, or a folder that holds one. :raises ResultError: with the file and the first thing wrong."""
        file = self.file_of(path)
        try:
            data = file.read_bytes().removeprefix(BOM_UTF8)
            told = from_json(data)  # apart from what follows, for they take half as long as ``validate_json``
            document = self._adapter.validate_python(told)
            _require_finite(data)
        except OSError as exc:
            raise ResultError(
                f"{file}: cannot read the {self._name}: {exc.strerror}; name a {self._name}.json, or a folder that has one"
            ) from exc
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise self._foreign(file, f"{where}: {first['msg']}") from exc
        except _NotFiniteError as exc:
            raise self._foreign(file, f"it has the number {exc}, and no figure is that") from exc
        except ValueError as exc:
            raise self._foreign(file, f"no JSON: {exc}") from exc
        if document.schema > self._newest_schema:
            newer = f"schema {document.schema} is newer than {self._newest_schema}"
            raise ResultError(f"{file}: {newer}; upgrade pageferry to read it")
        return document

    def _foreign(self, file: Path, why: str) -> ResultError:
        return ResultError(
            f"{file}: not a pageferry {self._name}: {why}; name one that pageferry wrote and nobody changed"
        )


class _NotFiniteError(ValueError):
    """Says the number as it stands there."""


def _require_finite(data: bytes) -> None:
    """``data`` is JSON; it would be saved with null for such a number. :raises _NotFiniteError: one is none, or has no end."""
    if any(word in data for word in _NOT_FINITE) or any(each.search(data) for each in _PERHAPS_NOT_FINITE):
        json.loads(data, parse_float=_finite, parse_constant=_refuse)


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise _NotFiniteError(text)
