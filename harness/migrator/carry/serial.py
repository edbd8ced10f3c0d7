"""Turns at a backend that keeps history: batches reach its instance in the order of the stream. Knows no batches, no sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from backends.api import Backend, BackendError

Out = TypeVar("Out")

_LINGER_S = 0.001
"""How long the next turn may take to be announced. Meanwhile the backend's threads are at what they have; and this is all that a
batch can be late because it waits for another that does not come."""


class Serial:
    """The instance of a backend that keeps history, shared by all codec threads: each call waits until the turn before it is over.
    A call that fails ends it: what would follow could not be restored.

    ``announce`` is for a sender, which asks with ``goes_on`` whether what it has may be held.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._changed = threading.Condition()
        self._done = 0
        self._held_bytes = self._passed_bytes = self._waiting_bytes = 0
        self._spent_s = 0.0
        self._announced: dict[int, tuple[int, bool]] = {}
        self._ended: str | None = None

    @property
    def name(self) -> str:
        """The backend's."""
        return self.backend.info.name

    def announce(self, turn: int, sequence: int, *, alone: bool = False) -> None:
        """The batch ``sequence`` of the stream has this turn, and will come. ``alone``: its own size is asked for, so that it is
        not held, and nothing before it is."""
        with self._changed:
            self._announced[turn] = (sequence, alone)
            self._changed.notify_all()

    def goes_on(self, turn: int) -> bool:
        """Whether the batch of ``turn`` and the one behind it, which has the next turn, may be one piece: waits a moment for its
        announcement."""
        with self._changed:
            sequence, alone = self._announced.get(turn, (-1, True))
            if alone:
                return False
            self._changed.wait_for(lambda: turn + 1 in self._announced or self._ended is not None, _LINGER_S)
            return self._announced.get(turn + 1) == (sequence + 1, False)

    def holds(self, count: int, most_bytes: int) -> bool:
        """Whether ``count`` bytes more are at most ``most_bytes``, and at most what passed before: the first batch finds an idle
        link. Within ``call``, as ``made``."""
        before_bytes = self._passed_bytes
        self._passed_bytes += count
        self._held_bytes += count
        return self._held_bytes <= min(most_bytes, before_bytes)

    def made(self, count: int, *, held: bool) -> None:
        """A turn's ``count`` bytes are on their way to ``sent``; ``held``: there is more in the instance."""
        if not held:
            self._held_bytes = 0
        with self._changed:
            self._waiting_bytes += count

    def sent(self, count: int) -> None:
        """So many of them are with the kernel."""
        with self._changed:
            self._waiting_bytes -= count

    @property
    def waiting_bytes(self) -> int:
        """Made, and not sent."""
        return self._waiting_bytes

    def spent_s(self) -> float:
        """CPU seconds of the instance's own threads since this was last asked for, within ``call``."""
        before_s, self._spent_s = self._spent_s, self.backend.threads_cpu_s
        return self._spent_s - before_s

    def call(self, turn: int, work: Callable[[Backend], Out]) -> Out:
        """``work`` with the instance, once all earlier turns are over. :raises BackendError: ``work``, or one before it."""
        with self._changed:
            self._changed.wait_for(lambda: self._done == turn or self._ended is not None)
            if self._ended is not None:
                raise BackendError(f"backend {self.name!r}: its history ended: {self._ended}")
        try:
            made = work(self.backend)
        except BaseException as exc:
            self.stop(str(exc))
            raise
        with self._changed:
            self._done += 1
            self._announced.pop(turn, None)
            self._changed.notify_all()
        return made

    def stop(self, why: str = "the migration stopped") -> None:
        """No more turns; whoever waits for one gets an error."""
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()

    def close(self) -> None:
        """Close the instance. No call is under way."""
        self.backend.close()
