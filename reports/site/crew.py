"""Makes what a site consists of, in as many processes as are worth it. Their number changes no byte, and no order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from harness.errors import ResultError
from reports.helper import Helper, HelperEndedError, start

T = TypeVar("T")
Seen = Callable[[str, int, int], None]
"""Is told how far it is: what is made, how much of it is there, and of how much."""
_WORTH_ONE = 16
"""Things to make: a process takes 1.5 s of CPU time to start, and most pages some 20 ms, but there are charts among them."""


class Crew:
    """Up to ``processes`` helpers, started when there is enough to do."""

    def __init__(self, processes: int, seen: Seen = lambda *_: None) -> None:
        self._processes, self._seen = processes, seen
        self._helpers: list[Helper] = []
        self._free: SimpleQueue[Helper] = SimpleQueue()

    def each(self, what: str, asked: Sequence[Callable[[], T]]) -> Iterator[T]:
        """What each of them gives, in their order; ``what`` they are. :raises ResultError: a helper did not live to give it."""
        count = min(self._processes, len(asked) // _WORTH_ONE)
        made = self._spread(asked, count) if count > 1 else (one() for one in asked)
        for done, one in enumerate(made, 1):
            self._seen(what, done, len(asked))
            yield one

    def close(self) -> None:
        """End them, whatever they are at."""
        for helper in self._helpers:
            helper.end()

    def _spread(self, asked: Sequence[Callable[[], T]], count: int) -> Iterator[T]:
        while len(self._helpers) < count:  # by this thread: a helper ends with the one that started it
            self._helpers.append(start())
            self._free.put(self._helpers[-1])
        threads = ThreadPoolExecutor(count)
        try:
            yield from threads.map(self._one, asked)
        except BaseException:  # nobody wants any more what is being made
            self.close()
            raise
        finally:
            threads.shutdown()

    def _one(self, asked: Callable[[], T]) -> T:
        helper = self._free.get()
        try:
            return helper.ask(asked)
        except HelperEndedError as exc:
            raise ResultError(f"a process that makes pages ended ({exc}): free memory, and run the same again") from exc
        finally:
            self._free.put(helper)
