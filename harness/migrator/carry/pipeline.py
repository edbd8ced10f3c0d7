"""An ordered, bounded, parallel map over threads, and the window that bounds what is in flight. Knows no sockets, no codecs.

    submit(item) -> worker threads (one ``work`` callable each) -> ``deliver(result)`` in the order of submission

Several streams may share the worker threads, and the bound of their windows; each keeps an order of its own. One failed thread
stops all of them: the first exception is kept, ``on_failure`` runs once (it closes sockets, so that threads blocked in the kernel
wake up), and ``join`` raises it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from harness.errors import refused

_LOOK_S = 0.5
_HURRY_BYTES = 256 << 10
"""More than a unix socket holds (net.core.wmem_default), of which three quarters are read before Linux wakes who writes there."""

Item = TypeVar("Item")
Out = TypeVar("Out")


class Failure:
    """The first exception of a group of threads; ``on_failure`` runs once, in the thread that failed."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._on_failure = on_failure
        self.error: BaseException | None = None

    def set(self, error: BaseException) -> None:
        """Keep ``error`` if it is the first, and stop everybody. Of what the host refused it is told in words."""
        with self._lock:
            if self.error is not None:
                return
            self.error = refused(error) or error
        self._on_failure()

    def check(self) -> None:
        """:raises BaseException: what failed first, if anything did."""
        if self.error is not None:
            raise self.error


def spawn(name: str, target: Callable[[], None], failure: Failure) -> threading.Thread:
    """Start a named thread whose exception goes to ``failure``. The caller joins it."""

    def run() -> None:
        try:
            target()
        except BaseException as exc:  # whatever it is, it must reach the caller
            failure.set(exc)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


class _Bound:
    """What all windows beside each other have under way."""

    def __init__(self, limit_bytes: int) -> None:
        self.changed = threading.Condition()
        self.limit_bytes = limit_bytes
        self.in_flight_bytes = self.peak_bytes = 0


class Window:
    """Bounds raw bytes in flight: between what the source gave us and what the destination has taken.

    ``limit_bytes`` may change at any time. One batch always fits, however small the limit. ``has_hung_up``: whether what comes in
    has an end already; the rest of it is bounded by the kernel's buffer, and what it was is known only once it is read.

    Windows ``beside`` each other share the bound, and of each one batch always fits: a destination that reads one of them only
    when something comes in another is never waited for in vain. ``in_flight_bytes`` is this window's, the rest all windows'.
    """

    def __init__(
        self,
        limit_bytes: int,
        has_hung_up: Callable[[], bool] = lambda: False,
        bound: _Bound | None = None,
        *,
        unbounded: bool = False,
    ) -> None:
        self._bound = bound or _Bound(limit_bytes)
        self._closed = False
        self._unbounded = unbounded
        self._hurry_bytes = 0
        self._has_hung_up = has_hung_up
        self.in_flight_bytes = 0

    def beside(self, has_hung_up: Callable[[], bool], *, unbounded: bool = False) -> Window:
        """Another window, under the same bound; ``unbounded``: it counts there, and waits for nobody."""
        return Window(self.limit_bytes, has_hung_up, self._bound, unbounded=unbounded)

    @property
    def limit_bytes(self) -> int:
        """The bound in force."""
        return self._bound.limit_bytes

    @property
    def all_in_flight_bytes(self) -> int:
        """Of all windows under the bound."""
        return self._bound.in_flight_bytes

    @property
    def peak_bytes(self) -> int:
        """The most that all of them had."""
        return self._bound.peak_bytes

    def resize(self, limit_bytes: int) -> None:
        """Set the bound; what is in flight already stays."""
        with self._bound.changed:
            self._bound.limit_bytes = limit_bytes
            self._bound.changed.notify_all()

    def has_room(self, count: int) -> bool:
        """Whether ``count`` more bytes fit now."""
        bound = self._bound
        limit_bytes = bound.limit_bytes * (2 if self._hurry_bytes > 0 else 1)
        return self._unbounded or not self.in_flight_bytes or bound.in_flight_bytes + count <= limit_bytes

    def hurry(self) -> None:
        """What a socket holds may pass sooner: up to twice the bound."""
        with self._bound.changed:
            self._hurry_bytes = _HURRY_BYTES
            self._bound.changed.notify_all()

    def acquire(self, count: int) -> bool:
        """Wait until ``count`` more bytes fit. False: the window was closed."""
        bound = self._bound
        with bound.changed:
            while not self.has_room(count):
                if not bound.changed.wait(_LOOK_S) and self._has_hung_up():
                    self._unbounded = True
            self._hurry_bytes -= count
            self._add(count)
            return not self._closed

    def release(self, count: int) -> None:
        """``count`` bytes have arrived."""
        with self._bound.changed:
            self._add(-count)
            self._bound.changed.notify_all()

    def _add(self, count: int) -> None:
        bound = self._bound
        self.in_flight_bytes += count
        bound.in_flight_bytes += count
        bound.peak_bytes = max(bound.peak_bytes, bound.in_flight_bytes)

    def close(self) -> None:
        """Wake who waits here; nothing is bounded here any more."""
        with self._bound.changed:
            self._closed = self._unbounded = True
            self._bound.changed.notify_all()


class _Job(Generic[Item, Out]):
    __slots__ = ("done", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Out | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Workers(Generic[Item, Out]):
    """``open_worker`` is called in each of the ``count`` threads; it gives the thread's ``work`` and its ``close``.

    At most ``at_once`` of them work at a time, in the order in which work came. More than there are cores would share them, and
    all be late: 12 threads on 2 cores took 1.61 to 1.86 s for what 2 threads took 1.35 to 1.70 s for, at equal CPU time
    (zlib 1, 190 MB; AMD EPYC, 2026-11-22, n=2).
    """

    def __init__(
        self,
        name: str,
        count: int,
        open_worker: Callable[[], tuple[Callable[[Item], Out], Callable[[], None]]],
        failure: Failure,
        *,
        at_once: int | None = None,
    ) -> None:
        self.name = name
        self.failure = failure
        self._count = count
        self._at_once = min(count, at_once or count)
        self._turns = threading.Semaphore(self._at_once)
        self._lock = threading.Lock()
        self._able = 0
        self.open_worker = open_worker
        self._jobs: SimpleQueue[_Job[Item, Out] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        self._threads = [spawn(f"{self.name}-{index}", self._work, self.failure) for index in range(self._count)]

    def add_able(self) -> None:
        """One more of those who submit could do the work itself."""
        with self._lock:
            self._able += 1

    @property
    def enough_able(self) -> bool:
        """Whether as many could as may work at once: then nobody gains by handing it over."""
        return self._able >= self._at_once

    def take(self, job: _Job[Item, Out]) -> None:
        """Queue one job; after a failure it is let go without being worked on."""
        self._jobs.put(job)

    def join(self) -> None:
        """No more jobs: what is queued is finished, and the threads end. Every pipeline over them has ended before."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with contextlib.ExitStack() as stack:
            work: Callable[[Item], Out] | None = None
            try:
                work, close = self.open_worker()
                stack.callback(close)
            except BaseException as exc:  # what is queued must be let go below, or a writer waits for it for ever
                self.failure.set(exc)
            while (job := self._next()) is not None:
                try:
                    if work is not None and self.failure.error is None:
                        job.result = work(job.item)
                except BaseException as exc:  # a writer must not wait for this job for ever
                    self.failure.set(exc)
                job.done.release()
                self._turns.release()

    def _next(self) -> _Job[Item, Out] | None:
        """The next job, once it is this thread's turn."""
        self._turns.acquire()
        job = self._jobs.get()
        if job is None:
            self._turns.release()
        return job


class OrderedPipeline(Generic[Item, Out]):
    """One stream's way through ``workers``, to ``deliver`` in a thread of its own."""

    def __init__(self, workers: Workers[Item, Out], deliver: Callable[[Out], None]) -> None:
        self._workers = workers
        self._failure = workers.failure
        self._deliver = deliver
        self._ordered: SimpleQueue[_Job[Item, Out] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that delivers."""
        self._writer = spawn(f"{self._workers.name}-writer", self._write, self._failure)

    def submit(self, item: Item) -> None:
        """Queue one item; unbounded here, as the caller's window bounds it."""
        job: _Job[Item, Out] = _Job(item)
        self._ordered.put(job)
        self._workers.take(job)

    def stop(self) -> None:
        """No more items: what is queued is delivered, then the thread ends. Also wakes it after a failure."""
        self._ordered.put(None)

    def join(self) -> None:
        """Wait for the thread. :raises BaseException: the first failure."""
        if self._writer is not None:
            self._writer.join()
        self._failure.check()

    def ended(self, timeout_s: float) -> bool:
        """Whether the thread has ended, waited for so long."""
        if self._writer is not None:
            self._writer.join(timeout_s)
        return self._writer is None or not self._writer.is_alive()

    def _write(self) -> None:
        while (job := self._ordered.get()) is not None:
            job.done.acquire()
            if self._failure.error is not None:
                return
            assert job.result is not None  # noqa: S101 - for the type checker: no failure, so there is a result
            self._deliver(job.result)
