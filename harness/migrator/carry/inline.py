"""A channel's way through a codec of its own, in the thread that submits. Knows no sockets.

Between two threads lies a wait for a processor, which the other channels' codecs keep busy: of 507 requests, each such wait took
one in a hundred 8 to 11 ms (1 Gbit/s, 2 busy cores of an Intel Xeon, 2026-11-28).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic

from harness.migrator.carry.pipeline import Item, OrderedPipeline, Out, Workers


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


class Either(OrderedPipeline[Item, Out]):
    """As an ``OrderedPipeline`` where more may work than there are who submit, and else as an ``Inline``. What was handed over is
    delivered before anything else is."""

    def __init__(self, workers: Workers[Item, Out], deliver: Callable[[Out], None]) -> None:
        self._queued = self._delivered = 0

        def delivered(result: Out) -> None:
            deliver(result)
            self._delivered += 1

        super().__init__(workers, delivered)
        self._inline = Inline(workers, deliver)

    def start(self) -> None:
        """Start the thread that delivers what was handed over, and open a codec."""
        super().start()
        self._inline.start()
        self._workers.add_able()

    def submit(self, item: Item) -> None:
        """As either does."""
        if self._workers.enough_able and self._queued == self._delivered:
            self._inline.submit(item)
            return
        self._queued += 1
        super().submit(item)

    def stop(self) -> None:
        """As both do."""
        super().stop()
        self._inline.stop()
