"""Breaks an input: edits of bytes anywhere, of words and lines in text, of values in JSON. Which, says who calls."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["KINDS", "Edit", "edited", "random_edits"]

_NUMBERS = (0, 1, 127, 255, 256, 4096, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, float("inf"), float("nan"), 1 << 63, 1 << 70, "", "x", "\ud800", "\x1b[2J\n",
    "\u202e", "a" * 5000, [], {}, [[]], [{}], {"": None}, {"a": {"a": {"a": []}}}, "pass", "completed", "none", "1GiB", "pageferry",
)  # fmt: skip
_WORD = re.compile(rb"[^\s\[\]{}=,:\"]+")
_LINE = re.compile(rb"[^\n]+\n?")


class Edit(NamedTuple):
    """``at``: where, as a share of all places from 0 to 1. ``argument``: what to put there, or which of the known values."""

    kind: str
    at: float
    argument: bytes


def random_edits(rng: random.Random, text: bool) -> list[Edit]:
    """One to six."""
    kinds = KINDS if text else tuple(_ANYWHERE)
    return [
        Edit(rng.choice(kinds), rng.random(), rng.randbytes(rng.choice((1, 1, 2, 4, 8))))
        for _ in range(rng.randrange(1, 7))
    ]


def edited(data: bytes, edits: Sequence[Edit], most_bytes: int) -> bytes:
    """``data`` after ``edits``, cut to ``most_bytes``."""
    for edit in edits:
        data = _edited(data, edit)[:most_bytes]
    return data


def _edited(data: bytes, edit: Edit) -> bytes:
    put = edit.argument or b"\0"
    if edit.kind in _IN_TEXT:
        return _IN_TEXT[edit.kind](data, edit.at, put)
    return _ANYWHERE[edit.kind](data, min(int(edit.at * len(data)), max(0, len(data) - 1)), put)


def _cut(data: bytes, at: int, put: bytes) -> bytes:
    return data[:at] if put[0] < 32 else data[:at] + data[at + 1 + put[0] :]


def _number(data: bytes, at: int, put: bytes) -> bytes:
    number, width = _NUMBERS[put[0] % len(_NUMBERS)], (1, 2, 4, 8)[put[-1] % 4]
    made = (number % (1 << 8 * width)).to_bytes(width, "big" if put[0] & 128 else "little")
    return data[:at] + made + data[at + width :]


def _moved(data: bytes, at: float, put: bytes, piece: re.Pattern[bytes]) -> bytes:
    """One piece of text becomes another one, or a number."""
    found = list(piece.finditer(data))
    if not found:
        return data
    here = found[min(int(at * len(found)), len(found) - 1)]
    there = found[int.from_bytes(put, "little") % len(found)].group()
    made = str(_NUMBERS[put[0] % len(_NUMBERS)]).encode() if piece is _WORD and put[0] > 200 else there
    return data[: here.start()] + made + data[here.end() :]


def _revalued(data: bytes, at: float, put: bytes) -> bytes:
    """One value in JSON becomes another, or goes, or comes twice; what is no JSON stays."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(_places(document))
    if not places:
        return data
    table, key = places[min(int(at * len(places)), len(places) - 1)]
    if put[0] > 230:
        del table[key]
    elif put[0] > 190:
        other, there = places[int.from_bytes(put, "little") % len(places)]
        table[key] = json.loads(json.dumps(other[there]))
    else:
        table[key] = _VALUES[put[0] % len(_VALUES)]
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    rest = [value]
    while rest:
        table = rest.pop()
        keys = table if isinstance(table, dict) else range(len(table)) if isinstance(table, list) else ()
        for key in list(keys):
            yield table, key
            rest.append(table[key])


_ANYWHERE = {
    "flip": lambda data, at, put: (
        data[:at] + bytes(byte ^ (put[0] or 1) for byte in data[at : at + 1]) + data[at + 1 :]
    ),
    "put": lambda data, at, put: data[:at] + put + data[at + len(put) :],
    "insert": lambda data, at, put: data[:at] + put + data[at:],
    "cut": _cut,
    "double": lambda data, at, put: data[:at] + data[at : at + 4 * put[0]] * 2 + data[at + 4 * put[0] :],
    "number": _number,
}
_IN_TEXT = {
    "word": lambda data, at, put: _moved(data, at, put, _WORD),
    "line": lambda data, at, put: _moved(data, at, put, _LINE),
    "value": _revalued,
}
KINDS = (*_ANYWHERE, *_IN_TEXT)
