"""Dataclasses that go from process to process as JSON, and are checked when they come. Knows none of them by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.migrator.config import Setting
from harness.names import unknown

T = TypeVar("T")

_WORDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_SHOWN_CHARACTERS = 60


class WrongDocumentError(ValueError):
    """Says what of it, its value, and what it must be. Who reads it adds whose it is."""


def to_document(value: object) -> Any:  # noqa: ANN401 - what JSON has
    """A dataclass as a table, with its fields' names as keys."""
    if is_dataclass(value):
        return {each.name: to_document(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_document(one) for one in value]
    if isinstance(value, Mapping):
        return {name: to_document(one) for name, one in value.items()}
    return value


def dumped(value: object) -> bytes:
    """A dataclass as the text of a file."""
    return (json.dumps(to_document(value), indent=1, sort_keys=True) + "\n").encode()


def parsed(cls: type[T], text: str | bytes) -> T:
    """What a file says. :raises WrongDocumentError: not JSON, or as ``from_document``."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise WrongDocumentError(f"not JSON: {exc}") from exc
    return from_document(cls, document)


def from_document(cls: type[T], document: object, at: str = "") -> T:
    """The dataclass ``cls`` again. ``at``: where in a larger document this is. :raises WrongDocumentError: it is none."""
    if not isinstance(document, dict):
        raise WrongDocumentError(_must(at.rstrip("."), document, "a table"))
    known = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
    for key in document:
        if key not in known:
            raise WrongDocumentError(at + unknown("key", key, list(known)))
    for name, each in known.items():
        if name not in document and each.default is each.default_factory is MISSING:
            raise WrongDocumentError(f"{at}{name}: is missing; add it")
    hints = get_type_hints(cls, include_extras=True)
    return cls(**{name: _made(hints[name], value, at + name) for name, value in document.items()})


def _made(kind: Any, value: object, key: str) -> Any:  # noqa: ANN401
    """``value`` as ``kind``, which a field's annotation or a part of one is."""
    origin, of = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return _within(of[1], _made(of[0], value, key), key)
    if origin in (UnionType, Union):  # what has a Literal in it is the latter
        return _one_of(of, value, key)
    if is_dataclass(kind):
        return from_document(kind, value, f"{key}.")  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list):
        return tuple(_made(of[0], one, f"{key}[{number}]") for number, one in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {name: _made(of[1], one, f"{key}.{name}") for name, one in value.items()}
    return _one(kind, value, key)


def _one(kind: Any, value: object, key: str) -> Any:  # noqa: ANN401
    if isinstance(kind, type) and issubclass(kind, Enum) and value in [one.value for one in kind]:
        return kind(value)
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    if kind is float and type(value) is int and abs(value) < 1 << 64:
        value = float(value)
    if type(value) is kind and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    raise WrongDocumentError(_must(key, value, _words(kind)))


def _within(setting: Setting, value: object, key: str) -> object:
    if (what := setting.wrong(value)) is not None:
        raise WrongDocumentError(f"{key} = {_shown(value)}: {what}")
    return value


def _one_of(kinds: tuple[Any, ...], value: object, key: str) -> Any:  # noqa: ANN401
    if value is None and NoneType in kinds:
        return None
    real = [kind for kind in kinds if kind is not NoneType]
    fitting = [kind for kind in real if type(value) is kind or value in get_args(kind)]
    fitting += [kind for kind in real if kind is float and type(value) is int]
    if fitting or len(real) == 1:
        return _made((fitting or real)[0], value, key)
    raise WrongDocumentError(_must(key, value, " or ".join(map(_words, real))))


def _words(kind: Any) -> str:  # noqa: ANN401
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(repr(one.value) for one in kind)
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    return _WORDS.get(kind) or ("a list" if get_origin(kind) is tuple else "a table")


def _must(key: str, value: object, words: str) -> str:
    return f"{key} = {_shown(value)}: must be {words}" if key else f"{_shown(value)}: must be {words}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
