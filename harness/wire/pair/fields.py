"""What a field of a message may be: how it travels, what is required of it when it comes, and the words for that. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

_SHOWN_CHARACTERS = 40


class WrongMessageError(ValueError):
    """A message cannot be: says what of it, its value, and what it must be. Who reads it adds whose message it is."""


_T = TypeVar("_T")


def _as_it_is(value: _T) -> _T:
    return value


@dataclass(frozen=True, slots=True)
class FieldKind:
    """``words`` say what a value must be, ``fits`` whether one is, as ``struct`` or ``json`` gives it; None: any is.
    ``code``: as struct has it, in a message of fixed length. ``made`` and ``travels`` turn what came into our value, and back."""

    words: str
    fits: Callable[[Any], bool] | None = None
    code: str = ""
    made: Callable[[Any], Any] = _as_it_is
    travels: Callable[[Any], Any] = _as_it_is

    def read(self, name: str, value: object) -> Any:  # noqa: ANN401 - of the type that the message declares
        """Our value for what came as ``name``. :raises WrongMessageError: it may not be."""
        if self.fits is not None and not self.fits(value):
            raise WrongMessageError(f"{name} = {repr(value)[:_SHOWN_CHARACTERS]}: must be {self.words}")
        return self.made(value)


NAME_CHARACTERS = 64
"""Of a codec or a session, at most."""
BYTES = FieldKind("any bytes")
DIGEST = FieldKind("16 bytes, XXH3-128", code="16s")
NONCE = FieldKind("32 random bytes", code="32s")
CODE = FieldKind("32 bytes, HMAC-SHA-256", code="32s")
TRUTH = FieldKind("true or false", lambda value: isinstance(value, bool))
"""As JSON has it."""


def number(code: str, low: int = 0, high: int | None = None) -> FieldKind:
    """A whole number, bounds included; without ``high`` as large as fits."""
    fills = (1 << 8 * struct.calcsize(f"<{code}")) - 1
    most = fills if high is None else high

    def fits(value: object) -> bool:
        return type(value) is int and low <= value <= most  # a truth value is an int too

    words = f"a whole number from {low} to {most}" if most < fills or low else "a whole number"
    return FieldKind(words, fits if most < fills or low else None, code)


def seconds(code: str) -> FieldKind:
    """A time. Travels in microseconds; a longer one than fits is cut."""
    most = (1 << 8 * struct.calcsize(f"<{code}")) - 1
    return FieldKind(
        "a time in microseconds", None, code, lambda value: value / 1e6, lambda value: min(round(value * 1e6), most)
    )


def choice(of: type[IntEnum]) -> FieldKind:
    """One of an enumeration, by its number."""
    numbers = [one.value for one in of]
    return FieldKind(" or ".join(f"{one.value} ({one.name})" for one in of), lambda value: value in numbers, "B", of)


def text(most: int) -> FieldKind:
    """For names, which are shown to users."""

    def fits(value: object) -> bool:
        return isinstance(value, str) and len(value) <= most and value.isascii() and value.isprintable()

    return FieldKind(f"at most {most} printable ASCII characters", fits)


def line(most_bytes: int) -> FieldKind:
    """Words for a user, cut to what fits."""
    return FieldKind(
        "UTF-8",
        made=lambda body: bytes(body).decode(errors="replace"),
        travels=lambda words: words.encode(errors="replace")[:most_bytes],
    )


def names(most: int, each_most: int) -> FieldKind:
    """Texts in order, at least one."""
    each = text(each_most)

    def fits(value: object) -> bool:
        return isinstance(value, list) and 0 < len(value) <= most and all(map(each.fits or bool, value))

    return FieldKind(f"a list of 1 to {most} texts, each of {each.words}", fits, made=tuple, travels=list)


def table(*, nested: bool = False) -> FieldKind:
    """Values by name, for whoever knows the names: a truth value, number or text each; or anything that JSON has."""

    def fits(value: object) -> bool:
        return isinstance(value, dict) and (
            nested or all(isinstance(one, bool | int | float | str) for one in value.values())
        )

    return FieldKind("a table" if nested else "a table of truth values, numbers and texts", fits, travels=dict)
