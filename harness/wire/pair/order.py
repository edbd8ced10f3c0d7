"""Which frame may come when, from either half: one table for both. No I/O.

sender:    HELLO, (PROBE | PREPARE)*, BATCH*, END
receiver:  WELCOME, (PROBED | PREPARED)*, (ACK | RETURN)*, DONE         RETURN_END once; DONE behind END only
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from harness.errors import FrameError
from harness.wire.pair.frame import Kind

__all__ = ["Order"]


class _Phase(Enum):
    """How far a session is, and how to say so."""

    GREETING = "before the greeting"
    READY = "before the stream's first batch"
    CARRYING = "in mid-stream"
    ENDED = "behind the stream's end"


_BEGUN = frozenset({Kind.ACK, Kind.RETURN, Kind.RETURN_END})
_MAY_COME: Mapping[str, Mapping[_Phase, frozenset[Kind]]] = {
    "sender": {
        _Phase.GREETING: frozenset({Kind.HELLO}),
        _Phase.READY: frozenset({Kind.PROBE, Kind.PREPARE, Kind.BATCH, Kind.END}),
        _Phase.CARRYING: frozenset({Kind.BATCH, Kind.END}),
        _Phase.ENDED: frozenset(),
    },
    "receiver": {
        _Phase.GREETING: frozenset({Kind.WELCOME}),
        _Phase.READY: frozenset({Kind.PROBED, Kind.PREPARED}),
        _Phase.CARRYING: _BEGUN,
        _Phase.ENDED: _BEGUN | {Kind.DONE},
    },
}
_ONCE = frozenset({Kind.PREPARE, Kind.PREPARED, Kind.RETURN_END, Kind.DONE})
_MOVES: Mapping[Kind, _Phase] = {
    Kind.WELCOME: _Phase.READY,
    Kind.BATCH: _Phase.CARRYING,
    Kind.END: _Phase.ENDED,
}


class Order:
    """One session as one half sees it. ``other`` is "sender" or "receiver": whose frames come. Sending and receiving may be two
    threads' work."""

    def __init__(self, other: str) -> None:
        self._other = other
        self._phase = _Phase.GREETING
        self._seen: set[Kind] = set()

    def sent(self, kind: int) -> None:
        """This half sends a frame; told before it does."""
        self._phase = _MOVES.get(Kind(kind), self._phase)

    def came(self, kind: Kind) -> None:
        """:raises FrameError: the other half may not send it now."""
        may = _MAY_COME[self._other][self._phase]
        if kind is not Kind.ERROR and kind not in may:
            raise FrameError(f"the {self._other} sent a {kind.name} frame, which it may not {self._phase.value}")
        if kind in self._seen:
            raise FrameError(f"the {self._other} sent a second {kind.name} frame")
        if kind in _ONCE:
            self._seen.add(kind)
        self._phase = _MOVES.get(kind, self._phase)
