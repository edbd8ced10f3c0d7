"""What the halves make of each other's greetings, checked before anything follows from it. Runs nothing, allocates nothing.

A sender may make a receiver hold what ``MOST_HISTORY_BYTES`` and ``MOST_IN_FLIGHT_BYTES`` say, and some 256 MiB for the program
and what threads work on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from backends import registry
from backends.api import Backend, BackendError
from harness.errors import FrameError, MissingError
from harness.migrator.carry.serial import Serial
from harness.migrator.session import cores
from harness.units import format_bytes

__all__ = ["MOST_HISTORY_BYTES", "MOST_IN_FLIGHT_BYTES", "Agreement", "Welcome", "agree", "read_welcome"]

MOST_HISTORY_BYTES = 16 << 30
"""All histories of a sender together, whatever each of them is: 128 of the size that zstd-long has by default."""

MOST_IN_FLIGHT_BYTES = 64 << 20
"""What came and is not delivered, whatever window the sender keeps itself."""

_MOST_CODECS = 32
_MOST_HISTORIES = 256
_MOST_THREADS = 256
_NAME_CHARACTERS = 64
_WORDS_CHARACTERS = 300

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a receiver will do for a sender. ``serials``: the codecs that keep history, by their number."""

    session: str
    codecs: tuple[type[Backend], ...]
    threads: int
    serials: Mapping[int, Serial]


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a receiver answered. ``threads`` None: it does not say."""

    threads: int | None
    probes: bool
    prepares: bool


def agree(greeting: Mapping[str, Any], threads: int | None) -> Agreement:
    """To a HELLO; ``threads`` where the user chose them. :raises FrameError: it asks for what cannot be, or for too much.

    :raises MissingError: a codec that is not here, with the remedy.
    """
    codecs = _codecs(greeting)
    asked = _field(greeting, "sender", "decompress_threads", 1, range(1, _MOST_THREADS + 1))
    session = _field(greeting, "sender", "session", "")
    if not _is_name(session):
        raise FrameError(f"the sender's greeting: session = {session[:40]!r} is not possible")
    serials = _serials(codecs, greeting)
    return Agreement(session, codecs, threads or min(asked, cores()), serials)


def read_welcome(greeting: Mapping[str, Any]) -> Welcome:
    """Of a WELCOME. :raises FrameError: a field that cannot be."""
    threads = _field(greeting, "receiver", "threads", 0, range(_MOST_THREADS + 1))
    return Welcome(
        threads or None,
        _field(greeting, "receiver", "probes", False),
        _field(greeting, "receiver", "prepares", False),
    )


def _field(greeting: Mapping[str, Any], other: str, name: str, absent: _T, allowed: range | None = None) -> _T:
    """Of ``absent``'s type, which it has where it is left out."""
    value = greeting.get(name, absent)
    if type(value) is not type(absent) or (allowed is not None and value not in allowed):
        raise FrameError(f"the {other}'s greeting: {name} = {str(value)[:40]!r} is not possible")
    return value


def _codecs(greeting: Mapping[str, Any]) -> tuple[type[Backend], ...]:
    names = greeting.get("codecs")
    if not isinstance(names, list) or not 0 < len(names) <= _MOST_CODECS or not all(_is_name(name) for name in names):
        raise FrameError("the sender's greeting names no codecs")
    return tuple(_opener(name) for name in names)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _NAME_CHARACTERS and value.isascii() and value.isprintable()


def _opener(name: str) -> type[Backend]:
    try:
        cls = registry.load(name)
        cls.probe_decoder()
    except BackendError as exc:
        raise MissingError(f"on the receiver: {exc}") from exc
    return cls


def _serials(codecs: tuple[type[Backend], ...], greeting: Mapping[str, Any]) -> dict[int, Serial]:
    """Each codec that keeps history, as often as the sender has it, with its options."""
    stateful = {number: cls for number, cls in enumerate(codecs) if cls.info.stateful}
    if not stateful:
        return {}
    lanes = _field(greeting, "sender", "histories", 0, range(1, _MOST_HISTORIES + 1))
    makers = {number: _told(cls, greeting) for number, cls in stateful.items()}
    try:
        held_bytes = sum(cls(**makers[number]).history_bytes for number, cls in stateful.items()) * lanes
        if held_bytes > MOST_HISTORY_BYTES:
            raise FrameError(
                f"the sender asks for histories of {format_bytes(held_bytes)} together; a receiver gives at most "
                f"{format_bytes(MOST_HISTORY_BYTES)}: use fewer --threads, or a smaller window (--option window=...)"
            )
        return {number: Serial([cls(**makers[number]) for _ in range(lanes)]) for number, cls in stateful.items()}
    except BackendError as exc:
        raise FrameError(f"the sender's greeting: {str(exc)[:_WORDS_CHARACTERS]}") from exc


def _told(cls: type[Backend], greeting: Mapping[str, Any]) -> dict[str, Any]:
    parameters = greeting.get("parameters")
    if not isinstance(parameters, Mapping) or parameters.get("backend") != cls.info.name:
        return {}
    return {name: parameters[name] for name in cls.info.options if name in parameters}
