"""Which message may come when, from either half: one table of states, which both halves walk by what they say and hear. No I/O."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum

from harness.errors import FrameError
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import MESSAGES


class State(Enum):
    """How far a session is, and how to say so."""

    __hash__ = object.__hash__  # as ``Kind``'s

    BEGUN = "before the sender's greeting"
    GREETED = "before the receiver's greeting"
    CHALLENGED = "before the sender's answer to a challenge"
    ANSWERED = "before the receiver's proof"
    PROVEN = "after both showed that they have the token"
    READY = "before the stream's first batch"
    CARRYING = "in mid-stream"
    ENDED = "behind the stream's end"
    DONE = "after all was confirmed"


MOVES: Mapping[State, Mapping[Kind, State]] = {
    State.BEGUN: {Kind.HELLO: State.GREETED, Kind.JOIN: State.GREETED, Kind.ASK: State.GREETED},
    State.GREETED: {Kind.WELCOME: State.READY, Kind.CHALLENGE: State.CHALLENGED, Kind.VERDICT: State.DONE},
    State.CHALLENGED: {Kind.RESPONSE: State.ANSWERED},
    State.ANSWERED: {Kind.PROOF: State.PROVEN},
    State.PROVEN: {Kind.WELCOME: State.READY, Kind.VERDICT: State.DONE},
    State.READY: {
        Kind.PROBE: State.READY,
        Kind.PROBED: State.READY,
        Kind.PREPARE: State.READY,
        Kind.PREPARED: State.READY,
        Kind.RETURN: State.READY,
        Kind.RETURN_END: State.READY,
        Kind.BATCH: State.CARRYING,
        Kind.END: State.ENDED,
    },
    State.CARRYING: {
        Kind.BATCH: State.CARRYING,
        Kind.ACK: State.CARRYING,
        Kind.RETURN: State.CARRYING,
        Kind.RETURN_END: State.CARRYING,
        Kind.END: State.ENDED,
    },
    State.ENDED: {
        Kind.ACK: State.ENDED,
        Kind.RETURN: State.ENDED,
        Kind.RETURN_END: State.ENDED,
        Kind.DONE: State.DONE,
    },
    State.DONE: {},
}
"""What may be said in each state, and the state behind it. An ERROR may be said in each, by either half."""

ANSWERS: Mapping[Kind, Kind] = {Kind.PROBED: Kind.PROBE, Kind.PREPARED: Kind.PREPARE, Kind.ACK: Kind.BATCH}
"""Each answers one that is not answered yet."""

CLOSES: Mapping[Kind, frozenset[Kind]] = {
    Kind.PREPARE: frozenset({Kind.PREPARE}),
    Kind.RETURN_END: frozenset({Kind.RETURN, Kind.RETURN_END}),
}
"""Behind the one, the others are not said any more."""

_COUNTED = frozenset({*ANSWERS, *ANSWERS.values()})


class Session:
    """As one half sees it. ``other``: the half that it hears. Saying and hearing may be two threads' work."""

    def __init__(self, other: Role) -> None:
        self.other = other
        self._half = Role.RECEIVER if other is Role.SENDER else Role.SENDER
        self._lock = threading.Lock()
        self._state = State.BEGUN
        self._closed: frozenset[Kind] = frozenset()
        self._said: Counter[Kind] = Counter()

    def says(self, kind: Kind) -> None:
        """We are about to. :raises FrameError: we may not."""
        self._pass(self._half, kind)

    def require(self, kind: Kind) -> None:
        """It begins to come. :raises FrameError: the other half may not say it now."""
        with self._lock:
            self._require(self.other, kind)

    def came(self, kind: Kind) -> None:
        """It is here. Raises as ``require``."""
        self._pass(self.other, kind)

    def _pass(self, speaker: Role, kind: Kind) -> None:
        if kind is Kind.ERROR:
            return
        with self._lock:
            self._require(speaker, kind)
            self._state = MOVES[self._state][kind]
            self._closed |= CLOSES.get(kind, frozenset())
            if kind in _COUNTED:
                self._said[kind] += 1

    def _require(self, speaker: Role, kind: Kind) -> None:
        if kind is not Kind.ERROR and not self._may(speaker, kind):
            due = [each.name for each in MOVES[self._state] if self._may(speaker, each)]
            raise FrameError(
                f"the {speaker.value} sent {kind.name} {self._state.value}; {' or '.join(due) or 'nothing'} was due"
            )

    def _may(self, speaker: Role, kind: Kind) -> bool:
        return (
            MESSAGES[kind].by is speaker
            and kind in MOVES[self._state]
            and kind not in self._closed
            and (kind not in ANSWERS or self._said[kind] < self._said[ANSWERS[kind]])
        )
