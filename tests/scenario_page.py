"""Writes docs/reference/scenario.md from the models: ``python tests/scenario_page.py``. Its test holds the file to them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

from harness.guests.image.settings import ProgressSettings, ReadySettings
from harness.scenario.frontier import FrontierSearch, LimitRange, RateRange
from harness.scenario.kinds import GUESTS, LINKS, LinkStep
from harness.scenario.methods import PairMethod, QemuMethod
from harness.scenario.model import Scenario
from harness.scenario.part import Part, Quantity
from harness.scenario.pin import Pin
from harness.scenario.usual import USUAL_METHODS
from harness.units import format_bandwidth, format_bytes

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "scenario.md"
USUAL = ", ".join(f"`{table['name']}`" for table in USUAL_METHODS)
HEAD = f"""# Scenario keys

A scenario is a TOML file; its name is the scenario's. This page is made from the models that check it. Every quantity has a unit,
and a key that nobody knows is an error. `--set KEY=VALUE` writes over a key (`--set guest.memory=2GiB`,
`--set method.isal-1.threads=4`). A table `[sweep]` makes a scenario of each combination of other keys' values:
`"link.bandwidth" = ["100Mbit/s", "unlimited"]`, or a table of labels and values.

A scenario without `[[method]]` is run by the usual ones, which `pageferry list methods` shows: {USUAL}.
A guest that is a stream has no QEMU, and goes without those that need one. `--set method.NAME.KEY=VALUE` and `--only NAME` work
with them as with all others.
"""
_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def page() -> str:
    """The whole page."""
    parts = [HEAD, *_table("Top of the file", Scenario, without={"guest", "link", "pin", "frontier", "methods"})]
    for kinds, name in ((GUESTS, "guest"), (LINKS, "link")):
        for kind in ours(kinds):
            loaded = kinds.load(kind)
            default = " (the default)" if kind in {"stress", "auto"} else ""
            parts += [
                *_table(
                    f'[{name}] kind = "{kind}"{default}',
                    loaded.settings,
                    f"{loaded.summary[0].upper()}{loaded.summary[1:]}.",
                )
            ]
    parts += _table('[guest.ready] of kind = "image"', ReadySettings)
    parts += _table('[guest.progress] of kind = "image"', ProgressSettings)
    parts += _table("[[link.step]]", LinkStep)
    parts += _table('[[method]] engine = "qemu"', QemuMethod)
    parts += _table('[[method]] engine = "pageferry"', PairMethod)
    parts += _table("[pin]", Pin)
    parts += _table("[frontier]", FrontierSearch)
    parts += _table("[frontier.dirty_rate]", RateRange)
    parts += _table("[frontier.downtime_limit]", LimitRange)
    return "\n".join(parts)


def ours(kinds: Any) -> list[str]:
    """Without what others have installed here."""
    return [name for name in kinds.names() if kinds.load(name).__module__.startswith("harness.")]


def _table(title: str, part: type[Part], words: str | None = None, without: set[str] = frozenset()) -> list[str]:
    said = words or " ".join((part.__doc__ or "").split()).replace("``", "`")
    left_out = {"kind", "engine", *without}  # two that the title has
    rows = [_row(key, part.model_fields[name]) for key, name in part.toml_keys().items() if name not in left_out]
    return [
        f"## {title}",
        "",
        said,
        "",
        "| key | type | default | what it is |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _row(key: str, field: FieldInfo) -> str:
    said = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
    return f"| `{key}` | {_type(field)} | {_default(field)} | {said} |"


def _type(field: FieldInfo) -> str:
    marks = list(_marks(field.annotation)) + list(field.metadata)
    quantity = next((mark for mark in marks if isinstance(mark, Quantity)), None)
    said = f'{quantity.what}, such as "{quantity.example}"' if quantity else _plain(field.annotation)
    return ", ".join([said, *_bounds(marks, quantity)])


def _marks(annotation: Any) -> Iterator[Any]:
    for argument in typing.get_args(annotation):
        if isinstance(argument, annotated_types.BaseMetadata | FieldInfo):
            yield from argument.metadata if isinstance(argument, FieldInfo) else [argument]
        yield from _marks(argument)


def _bounds(marks: list[Any], quantity: Quantity | None) -> Iterator[str]:
    for mark in marks:
        for words, bound in (("at least", "ge"), ("above", "gt"), ("at most", "le"), ("below", "lt")):
            value = getattr(mark, bound, None)
            if value is not None and not (quantity and words == "at least" and not value):  # no quantity is below zero
                yield f"{words} {_amount(value, quantity)}"
        if step := getattr(mark, "multiple_of", None):
            yield f"a multiple of {step}"


def _amount(value: float, quantity: Quantity | None) -> str:
    if quantity is None or not value:
        return f"{value:g}" if isinstance(value, float) else str(value)
    if quantity.what == "bandwidth":
        return format_bandwidth(value)
    if quantity.what == "share":
        return f"{value * 100:g}%"
    if quantity.what == "duration":
        return f"{value * 1e3:g}ms" if value < 1 else f"{value:g}s" if value < 3600 else f"{value / 3600:g}h"
    return f"{format_bytes(value).replace(' ', '')}{'/s' if quantity.what == 'rate' else ''}"


def _plain(annotation: Any) -> str:  # noqa: PLR0911 - a case each
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _plain(arguments[0])
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(dict.fromkeys(_plain(one) for one in arguments if one is not type(None)))
    if origin is typing.Literal:
        return " or ".join(f'"{one}"' if isinstance(one, str) else str(one).lower() for one in arguments)
    if origin is tuple:
        return f"list of {_plain(arguments[0])}"
    if origin is dict:
        return "table of shares" if arguments[1] is float else "table"
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "table"
    return _PLAIN[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    quantity = next((mark for mark in field.metadata if isinstance(mark, Quantity)), None)
    value = field.default
    if quantity and quantity.what == "bandwidth" and value is None:
        return '"unlimited"'
    if value is None or value in ((), {}):
        return "none"
    if quantity:
        return f'"{_amount(value, quantity)}"' if value else '"0s"'
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key} = {one}" for key, one in value.items()) + "}`"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
