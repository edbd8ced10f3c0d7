"""Doubts to JSON and back: checked kind by kind, for a file may be of any version."""

from __future__ import annotations

from dataclasses import asdict, fields
from types import NoneType
from typing import Any

from harness.results.doubt import Doubt
from harness.results.doubts import KINDS, Said

_TYPES = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "str | None": (str, NoneType),
    "float | None": (int, float, NoneType),
}


def tell_doubts(doubts: tuple[Doubt, ...]) -> list[dict[str, Any]]:
    """As a file holds them."""
    return [
        {
            "kind": doubt.kind,
            "subject": doubt.subject,
            "weight": doubt.weight,
            "sentence": doubt.sentence,
            "values": asdict(doubt),
        }
        for doubt in doubts
    ]


def read_doubts(told: object) -> tuple[Doubt, ...]:
    """What ``tell_doubts`` told. :raises ValueError: with the place and the value of the first thing wrong."""
    if not isinstance(told, list):
        raise ValueError("doubts are a list")  # noqa: TRY004 - pydantic makes a line of a ValueError alone
    return tuple(_read(entry, f"entry {number}") for number, entry in enumerate(told))


def _read(entry: object, place: str) -> Doubt:
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise ValueError(f"{place}: a doubt is a table with a kind")  # noqa: TRY004
    kind = KINDS.get(entry["kind"])
    values = {"text": entry.get("sentence")} if kind is None else entry.get("values")
    if not isinstance(values, dict):
        raise ValueError(f"{place}: values {values!r} are no table")  # noqa: TRY004
    kind = kind or Said
    for field in fields(kind):
        value = values.get(field.name)
        if isinstance(value, bool) or not isinstance(value, _TYPES[str(field.type)]):
            what = "sentence" if kind is Said else f"values.{field.name}"
            raise ValueError(f"{place} ({entry['kind']}): {what}: {value!r} is no {field.type}")  # noqa: TRY004
    return kind(**{field.name: values.get(field.name) for field in fields(kind)})
