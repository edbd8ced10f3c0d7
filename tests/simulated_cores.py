"""Time without waiting: threads that do work at places, each at its speed while there are cores enough and at an equal share of
them where there are not, beside others that always run. A thread is a generator that yields ``Work`` to be done, or a condition to
wait for. Knows nothing of what they do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Work(NamedTuple):
    """For a host: CPU seconds at speed 1; for a link: bytes."""

    place: Place
    amount: float


Condition = Callable[[], bool]
Thread = Generator[Work | Condition, None, None]


@dataclass
class Place:
    """A host, or a link, which is one of one core. ``others`` always run too; ``still``: nothing does."""

    cores: int
    speed: float
    others: float = 0.0
    still: bool = False
    running: list[list] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Of each that runs."""
        busy = len(self.running) + self.others
        return 0.0 if self.still else self.speed * min(1.0, self.cores / max(1e-9, busy))

    def finished(self) -> list[Thread]:
        """Whose work is done; they are here no more."""
        least = 1e-12 * self.speed
        done = [thread for left, thread in self.running if left <= least]
        self.running = [work for work in self.running if work[0] > least]
        return done


Change = tuple[float, Callable[[], None]]


@dataclass
class Simulation:
    """``changes``: what is done at which second."""

    places: Sequence[Place]
    changes: Iterable[Change] = ()
    now_s: float = 0.0

    def run(self, threads: Iterable[Thread], is_over: Condition) -> None:
        """From now until then."""
        waiting: list[tuple[Thread, Condition]] = [(thread, _now) for thread in threads]
        changes = deque(sorted(self.changes, key=lambda change: change[0]))
        while True:
            waiting = _resumed(waiting)
            if is_over():
                return
            soonest_s = self._soonest_s()
            if soonest_s is None and not changes:
                raise AssertionError("everybody waits")
            if soonest_s is None or (changes and changes[0][0] - self.now_s <= soonest_s):
                self._pass(changes[0][0] - self.now_s)
                changes.popleft()[1]()
            else:
                self._pass(soonest_s)
            waiting += [(thread, _now) for place in self.places for thread in place.finished()]

    def _soonest_s(self) -> float | None:
        """Until some work is done."""
        return min(
            (min(work[0] for work in place.running) / rate for place in self.places if place.running and (rate := place.rate)),
            default=None,
        )  # fmt: skip

    def _pass(self, took_s: float) -> None:
        for place in self.places:
            amount = took_s * place.rate
            for work in place.running:
                work[0] -= amount
        self.now_s += took_s


def _resumed(waiting: list[tuple[Thread, Condition]]) -> list[tuple[Thread, Condition]]:
    """Who still waits, once all that can go on did."""
    went_on = True
    while went_on:
        went_on, still = False, []
        for thread, condition in waiting:
            if not condition():
                still.append((thread, condition))
                continue
            went_on = True
            asked = next(thread, None)
            if isinstance(asked, Work):
                asked.place.running.append([asked.amount, thread])
            elif asked is not None:
                still.append((thread, asked))
        waiting = still
    return waiting


def _now() -> bool:
    return True
