"""Looks for the value beyond which something stops working, when one try is not proof. No I/O, no clock: pure state.

Tries are votes. The search narrows a bracket on single tries, geometrically, then confirms both its ends by the majority of
several; an end that the majority turns over opens the bracket again. So luck at one value costs tries, not the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

MOST_TRIES = 30
"""Of one search. From 10 to 1000 within 10 % takes 8 tries to narrow and 3 to 5 to confirm, where nothing contradicts itself."""


@dataclass(frozen=True, slots=True)
class Bisection:
    """Between ``easy``, where it works if anywhere, and ``hard``; either may be the larger number.

    ``tolerance``: the factor between the ends that is close enough. ``votes``: odd; so many tries of one value at most.
    ``step``: values are multiples of it, so it is the closest that two can be.
    """

    easy: float
    hard: float
    tolerance: float
    votes: int
    step: float
    tried: tuple[tuple[float, bool], ...] = ()

    def after(self, value: float, *, worked: bool) -> Bisection:
        """With one more try."""
        return replace(self, tried=(*self.tried, (value, worked)))

    def count(self, value: float, *, worked: bool) -> int:
        """How many tries of ``value`` ended so."""
        return self.tried.count((value, worked))

    def bracket(self) -> tuple[float | None, float | None]:
        """The hardest value that works, below every one that does not; and the easiest that does not. None: not seen.

        What seems to work beyond a failure is left out: it is luck, or the failure was, which its confirmation will show.
        """
        failing = [value for value in self._values() if self._works(value) is False]
        failed = min(failing, key=self._hardness, default=None)
        limit = math.inf if failed is None else self._hardness(failed)
        working = [value for value in self._values() if self._works(value) and self._hardness(value) < limit]
        return max(working, key=self._hardness, default=None), failed

    def next_value(self) -> float | None:
        """What to try next; None when the bracket is narrow and its ends are confirmed, or tries are used up."""
        return None if len(self.tried) >= MOST_TRIES else next(self._wanted(), None)

    def left(self) -> int:
        """How many more tries it takes if none contradicts another."""
        if self.next_value() is None:
            return 0
        works_at, fails_at = self.bracket()
        majority = self.votes // 2 + 1
        if self._between(works_at, fails_at) is None and self._works(self.hard) is not None:
            missing = majority - self.count(fails_at, worked=False) if fails_at is not None else 0
            missing += self.votes - self._tries_of(works_at) if works_at is not None else 0
            return max(1, missing)
        low, high = sorted((works_at or self.easy, fails_at or self.hard))
        steps = math.ceil(math.log2(max(1.0, math.log(high / low) / math.log(self.tolerance))))
        untried = sum(self._tries_of(end) == 0 for end in (self.easy, self.hard))
        return untried + steps + (self.votes - 1) + (majority - 1)

    def _wanted(self) -> Iterator[float]:
        """What is still to be tried, the first thing first."""
        yield from (value for value in self._values() if self._works(value) is None)
        if self._works(self.easy) is not True:
            if not self._decided(self.easy):
                yield self.easy
            return
        if self._works(self.hard) is None:
            yield self.hard
        works_at, fails_at = self.bracket()
        between = self._between(works_at, fails_at)
        if between is not None:
            yield between
        if fails_at is not None and not self._decided(fails_at):
            yield fails_at
        if works_at is not None and self._tries_of(works_at) < self.votes:
            yield works_at

    def _values(self) -> list[float]:
        return list(dict.fromkeys(value for value, _ in self.tried))

    def _hardness(self, value: float) -> float:
        return value if self.hard > self.easy else -value

    def _tries_of(self, value: float) -> int:
        return self.count(value, worked=True) + self.count(value, worked=False)

    def _works(self, value: float) -> bool | None:
        """By most tries so far; None: none yet, or as many as not."""
        balance = self.count(value, worked=True) - self.count(value, worked=False)
        return None if balance == 0 else balance > 0

    def _decided(self, value: float) -> bool:
        """Whether no further try could turn the majority."""
        return max(self.count(value, worked=True), self.count(value, worked=False)) > self.votes // 2

    def _between(self, works_at: float | None, fails_at: float | None) -> float | None:
        """The geometric middle; None where the two are close enough, or no step is between them."""
        if works_at is None or fails_at is None:
            return None
        low, high = sorted((works_at, fails_at))
        if high / low <= self.tolerance:
            return None
        middle = round(math.sqrt(low * high) / self.step) * self.step
        return middle if low < middle < high else None
