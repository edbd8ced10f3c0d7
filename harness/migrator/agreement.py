"""What a receiver makes of a sender's greeting, checked before anything follows from it. Runs nothing, allocates nothing.

A sender may make a receiver hold what ``MOST_HISTORY_BYTES`` and ``MOST_IN_FLIGHT_BYTES`` say, and some 256 MiB for the program
and what threads work on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends import registry
from backends.api import Backend, BackendError
from harness.errors import FrameError, MissingError
from harness.migrator.carry.serial import Serial
from harness.migrator.session import cores
from harness.units import format_bytes
from harness.wire.pair.messages import Hello

MOST_HISTORY_BYTES = 16 << 30
"""All histories of a sender together, whatever each of them is: 128 of the size that zstd-long has by default."""

MOST_IN_FLIGHT_BYTES = 64 << 20
"""What came and is not delivered, whatever window the sender keeps itself."""

_WORDS_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a receiver will do for a sender. ``serials``: the codecs that keep history, by their number, for the main channel."""

    hello: Hello
    codecs: tuple[type[Backend], ...]
    threads: int
    serials: Mapping[int, Serial]

    @property
    def session(self) -> str:
        """Its id."""
        return self.hello.session

    def more_serials(self, channels: int) -> dict[int, Serial]:
        """Those of one more channel beside so many. :raises FrameError: they are too large together."""
        return _serials(self.codecs, self.hello, channels + 1)


def agree(hello: Hello, threads: int | None) -> Agreement:
    """``threads`` where the user chose them. :raises FrameError: it asks for what cannot be, or for too much.

    :raises MissingError: a codec that is not here, with the remedy.
    """
    codecs = tuple(_opener(name) for name in hello.codecs)
    threads = threads or min(hello.decompress_threads, cores())
    return Agreement(hello, codecs, threads, _serials(codecs, hello, 1))


def _opener(name: str) -> type[Backend]:
    try:
        cls = registry.load(name)
        cls.probe_decoder()
    except BackendError as exc:
        raise MissingError(f"on the receiver: {exc}") from exc
    return cls


def _serials(codecs: tuple[type[Backend], ...], hello: Hello, channels: int) -> dict[int, Serial]:
    """Each codec that keeps history, with the sender's options, where ``channels`` of them have such."""
    stateful = {number: (cls, _told(cls, hello)) for number, cls in enumerate(codecs) if cls.info.stateful}
    try:
        instances = {number: cls(**options) for number, (cls, options) in stateful.items()}
        held_bytes = channels * sum(backend.history_bytes for backend in instances.values())
        if held_bytes > MOST_HISTORY_BYTES:
            raise FrameError(
                f"the sender asks for histories of {format_bytes(held_bytes)} together; a receiver gives at most "
                f"{format_bytes(MOST_HISTORY_BYTES)}: use a smaller window (--option window=...)"
            )
        return {number: Serial(backend) for number, backend in instances.items()}
    except BackendError as exc:
        raise FrameError(f"the sender's options: {str(exc)[:_WORDS_CHARACTERS]}") from exc


def _told(cls: type[Backend], hello: Hello) -> dict[str, Any]:
    if hello.backend != cls.info.name:
        return {}
    return {name: hello.options[name] for name in cls.info.options if name in hello.options}
