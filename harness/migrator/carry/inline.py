"""A channel's way through a codec of its own, in the thread that submits: for pages that a guest waits for. Knows no sockets.

Between two threads lies a wait for a processor, which the other channels' codecs keep busy: of 507 requests, each such wait took
one in a hundred 8 to 11 ms (1 Gbit/s, 2 busy cores of an Intel Xeon, 2026-11-28).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from harness.migrator.carry.pipeline import Item, Out, Workers


class Inline(Generic[Item, Out]):
    """As an ``OrderedPipeline`` over ``workers``, without their threads and their queue."""

    def __init__(self, workers: Workers[Item, Out], deliver: Callable[[Out], None]) -> None:
        self._workers = workers
        self._deliver = deliver
        self._lock = threading.Lock()
        self._work: Callable[[Item], Out] | None = None
        self._close: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Open its codec."""
        self._work, self._close = self._workers.open_worker()

    def submit(self, item: Item) -> None:
        """Work on one item and deliver it; nothing happens once it was stopped. Raises as these do."""
        with self._lock:
            if self._work is None:
                return
            result = self._work(item)
        self._deliver(result)

    def stop(self) -> None:
        """No more items: close the codec. May be called twice."""
        with self._lock:
            if self._work is not None:
                self._work = None
                self._close()

    def join(self) -> None:
        """:raises BaseException: the first failure of all channels."""
        self._workers.failure.check()

    def ended(self, _: float) -> bool:
        """It has no thread."""
        return True
