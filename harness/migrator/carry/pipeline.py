"""An ordered, bounded, parallel map over threads, and the window that bounds what is in flight. Knows no sockets, no codecs.

    submit(item) -> worker threads (one ``work`` callable each) -> ``deliver(result)`` in the order of submission

One failed thread stops all of them: the first exception is kept, ``on_failure`` runs once (it closes sockets, so that
threads blocked in the kernel wake up), and ``join`` raises it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

__all__ = ["Failure", "OrderedPipeline", "Window", "spawn"]

_LOOK_S = 0.5

Item = TypeVar("Item")
Out = TypeVar("Out")


class Failure:
    """The first exception of a group of threads; ``on_failure`` runs once, in the thread that failed."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._on_failure = on_failure
        self.error: BaseException | None = None

    def set(self, error: BaseException) -> None:
        """Keep ``error`` if it is the first, and stop everybody."""
        with self._lock:
            if self.error is not None:
                return
            self.error = error
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


class Window:
    """Bounds raw bytes in flight: between what the source gave us and what the destination has taken.

    ``limit_bytes`` may change at any time. One batch always fits, however small the limit. ``has_hung_up``: whether what comes in
    has an end already; the rest of it is bounded by the kernel's buffer, and what it was is known only once it is read.
    """

    def __init__(self, limit_bytes: int, has_hung_up: Callable[[], bool] = lambda: False) -> None:
        self._condition = threading.Condition()
        self._limit_bytes = limit_bytes
        self._closed = self._unbounded = False
        self._has_hung_up = has_hung_up
        self.in_flight_bytes = 0
        self.peak_bytes = 0

    @property
    def limit_bytes(self) -> int:
        """The bound in force."""
        return self._limit_bytes

    def resize(self, limit_bytes: int) -> None:
        """Set the bound; what is in flight already stays."""
        with self._condition:
            self._limit_bytes = limit_bytes
            self._condition.notify_all()

    def acquire(self, count: int) -> bool:
        """Wait until ``count`` more bytes fit. False: the window was closed."""
        with self._condition:
            while not self._unbounded and self.in_flight_bytes and self.in_flight_bytes + count > self._limit_bytes:
                if not self._condition.wait(_LOOK_S) and self._has_hung_up():
                    self._unbounded = True
            self.in_flight_bytes += count
            self.peak_bytes = max(self.peak_bytes, self.in_flight_bytes)
            return not self._closed

    def release(self, count: int) -> None:
        """``count`` bytes have arrived."""
        with self._condition:
            self.in_flight_bytes -= count
            self._condition.notify_all()

    def close(self) -> None:
        """Wake everybody who waits; nothing is bounded any more."""
        with self._condition:
            self._closed = self._unbounded = True
            self._condition.notify_all()


class _Job(Generic[Item, Out]):
    __slots__ = ("done", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Out | None = None
        self.done = threading.Lock()
        self.done.acquire()


class OrderedPipeline(Generic[Item, Out]):
    """``open_worker`` is called in each of the ``workers`` threads; it gives the thread's ``work`` and its ``close``.

    At most ``at_once`` of them work at a time, in the order of submission. More than there are cores would share them, and
    all be late: 12 threads on 2 cores took 1.61 to 1.86 s for what 2 threads took 1.35 to 1.70 s for, at equal CPU time
    (zlib 1, 190 MB; AMD EPYC, 2026-11-22, n=2).
    """

    def __init__(
        self,
        name: str,
        workers: int,
        open_worker: Callable[[], tuple[Callable[[Item], Out], Callable[[], None]]],
        deliver: Callable[[Out], None],
        failure: Failure,
        *,
        at_once: int | None = None,
    ) -> None:
        self._turns = threading.Semaphore(at_once or workers)
        self._open_worker = open_worker
        self._deliver = deliver
        self._failure = failure
        self._jobs: SimpleQueue[_Job[Item, Out] | None] = SimpleQueue()
        self._ordered: SimpleQueue[_Job[Item, Out] | None] = SimpleQueue()
        self._workers = workers
        self._name = name
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        for index in range(self._workers):
            self._threads.append(spawn(f"{self._name}-{index}", self._work, self._failure))
        self._threads.append(spawn(f"{self._name}-writer", self._write, self._failure))

    def submit(self, item: Item) -> None:
        """Queue one item; unbounded here, as the caller's window bounds it."""
        job: _Job[Item, Out] = _Job(item)
        self._ordered.put(job)
        self._jobs.put(job)

    def stop(self) -> None:
        """No more items: what is queued is finished, then the threads end. Also wakes them after a failure."""
        for _ in range(self._workers):
            self._jobs.put(None)
        self._ordered.put(None)

    def join(self) -> None:
        """Wait for the threads. :raises BaseException: the first failure."""
        for thread in self._threads:
            thread.join()
        self._failure.check()

    def _work(self) -> None:
        with contextlib.ExitStack() as stack:
            work: Callable[[Item], Out] | None = None
            try:
                work, close = self._open_worker()
                stack.callback(close)
            except BaseException as exc:  # what is queued must be let go below, or the writer waits for it for ever
                self._failure.set(exc)
            while (job := self._take()) is not None:
                try:
                    if work is not None and self._failure.error is None:
                        job.result = work(job.item)
                except BaseException as exc:  # the writer must not wait for this job for ever
                    self._failure.set(exc)
                job.done.release()
                self._turns.release()

    def _take(self) -> _Job[Item, Out] | None:
        """The next job, once it is this thread's turn."""
        self._turns.acquire()
        job = self._jobs.get()
        if job is None:
            self._turns.release()
        return job

    def _write(self) -> None:
        while (job := self._ordered.get()) is not None:
            job.done.acquire()
            if self._failure.error is not None:
                return
            assert job.result is not None  # noqa: S101 - for the type checker: no failure, so there is a result
            self._deliver(job.result)
