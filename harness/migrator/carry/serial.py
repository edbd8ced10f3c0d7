"""Turns at a backend that keeps history: batches reach its instances in the order of the stream. Knows no batches, no sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from backends.api import Backend, BackendError

__all__ = ["Serial"]

Out = TypeVar("Out")


class Serial:
    """The instances of a backend that keeps history, shared by all codec threads: batches go to them in turn, and each call waits
    until the one before it at the same instance is over.

    Several *lanes* work side by side; each sees its share of the batches, and both halves must have as many. A call that fails
    ends all of them: what would follow it could not be restored.
    """

    def __init__(self, lanes: Sequence[Backend]) -> None:
        self.lanes = tuple(lanes)
        self._changed = threading.Condition()
        self._done = [0] * len(self.lanes)
        self._ended: str | None = None

    @property
    def name(self) -> str:
        """The backend's."""
        return self.lanes[0].info.name

    def call(self, turn: int, work: Callable[[Backend], Out]) -> Out:
        """``work`` with the turn's instance, once its earlier turns are over. :raises BackendError: ``work``, or one before it."""
        nth, lane = divmod(turn, len(self.lanes))
        with self._changed:
            self._changed.wait_for(lambda: self._done[lane] == nth or self._ended is not None)
            if self._ended is not None:
                raise BackendError(f"backend {self.name!r}: its history ended: {self._ended}")
        try:
            made = work(self.lanes[lane])
        except BaseException as exc:
            self.stop(str(exc))
            raise
        with self._changed:
            self._done[lane] += 1
            self._changed.notify_all()
        return made

    def stop(self, why: str = "the migration stopped") -> None:
        """No more turns; whoever waits for one gets an error."""
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()

    def close(self) -> None:
        """Close the instances. No call is under way."""
        for backend in self.lanes:
            backend.close()
