"""What a receiver makes of a sender's greeting: which codecs, how many threads, which histories. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends import registry
from backends.api import Backend, BackendError
from harness.errors import FrameError, MissingError
from harness.migrator.serial import Serial

__all__ = ["agreed_codecs", "decompress_threads", "serial_of"]

_MAX_CODECS = 32
_MAX_HISTORIES = 256


def agreed_codecs(greeting: Mapping[str, Any]) -> tuple[type[Backend], ...]:
    """The codecs that HELLO names. :raises MissingError: one that is not here, with the remedy."""
    names = greeting.get("codecs")
    if not isinstance(names, list) or not 0 < len(names) <= _MAX_CODECS or not all(isinstance(n, str) for n in names):
        raise FrameError("the sender's greeting names no codecs")
    return tuple(_opener(name) for name in names)


def _opener(name: str) -> type[Backend]:
    try:
        cls = registry.load(name)
        cls.probe_decoder()
    except BackendError as exc:
        raise MissingError(f"on the receiver: {exc}") from exc
    return cls


def decompress_threads(greeting: Mapping[str, Any]) -> int:
    """How many the sender's backend needs here for the sender's threads."""
    asked = greeting.get("decompress_threads")
    return asked if isinstance(asked, int) and 1 <= asked <= 256 else 1


def serial_of(cls: type[Backend], greeting: Mapping[str, Any]) -> Serial:
    """A backend that keeps history, as often as the sender has it, with its options. :raises FrameError: impossible ones."""
    lanes = greeting.get("histories")
    if not isinstance(lanes, int) or not 1 <= lanes <= _MAX_HISTORIES:
        raise FrameError(f"the sender's greeting names {lanes!r} histories; 1 to {_MAX_HISTORIES} are possible")
    parameters = greeting.get("parameters")
    told = parameters if isinstance(parameters, Mapping) and parameters.get("backend") == cls.info.name else {}
    try:
        return Serial([cls(**{name: told[name] for name in cls.info.options if name in told}) for _ in range(lanes)])
    except BackendError as exc:
        raise FrameError(f"the sender's greeting: {exc}") from exc
