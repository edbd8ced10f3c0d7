"""Where a series of figures, one a night, went over to another level, and stayed there. Pure: numbers in, numbers out.

Least squares on logarithms finds the best cut into levels of three nights or more, by optimal partitioning (Jackson et al. 2005,
doi:10.1109/LSP.2001.838216, which PELT speeds up); a level then stays apart from the one before it only if a two-sample t-test
says so, and if it is another by as much as matters. Many places are looked at every night, so each p is multiplied by the square of
the shorter level's nights: a new level is tested when it has three nights, four and so on, and the sum of 1/k^2 over all of them is
finite, while an even share for each place would leave little for the third night, for which a reader waits. One odd night is held
to three standard deviations before, and four of five nights of a level must show half of the shift between the levels' medians,
of a short one all: two odd nights of three move the median to where the third does not follow, and so are no level. Nights that are
like their neighbours tell less than so many others: the error of a level's mean grows by what their correlation from one night to
the next makes of it.

``ruptures`` has no wheel for Python 3.14, and apache-otava brings fifteen packages of fixed versions; and neither tells how sure
it is of a change with so few nights behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEAST_NIGHTS = 8
"""Fewer tell too little of their spread."""
LEAST_SHIFT = 0.02
"""A smaller one does not matter."""
SURE = 2e-3
"""Of the adjusted p. tests/benchmarks/history.py has what it comes to: the false changes, and what is found how soon."""

_SHORTEST = 3
_PENALTY = 8.0
"""For a level more, in squares of the spread: candidates only."""
_MOST_ODD = 3.0
_LEAST_SPREAD = 1e-3
_LEAST_PART = 0.5
"""Of the shift between the levels' medians: what a night must show to count for its level,"""
_MAY_MISS = 5
"""which one of so many need not, and of fewer none."""
_MOST_ALIKE = 0.6
"""Correlation of a night with the next: what is more is a drift."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """``at``: where the new level begins. ``shift``: by which share its median is higher. ``p_value``: adjusted."""

    at: int
    shift: float
    p_value: float


def changes(figures: Sequence[float], least_shift: float = LEAST_SHIFT) -> tuple[Change, ...]:
    """Of positive ``figures`` in their order; none where they are fewer than ``LEAST_NIGHTS``."""
    if len(figures) < LEAST_NIGHTS or min(figures) <= 0:
        return ()
    raw = np.log(np.asarray(figures, dtype=float))
    tame = _tamed(raw)
    cuts = [0, *_candidates(tame), len(raw)]
    while len(cuts) > 2:
        found = [_change(raw, tame, cuts[index - 1 : index + 2]) for index in range(1, len(cuts) - 1)]
        matter = [abs(math.log1p(change.shift)) >= math.log1p(least_shift) for change in found]
        weakest = max(range(len(found)), key=lambda index: (not matter[index], found[index].p_value))
        if found[weakest].p_value < SURE and matter[weakest]:
            return tuple(found)
        del cuts[weakest + 1]
    return ()


def _spread(logs: _Array) -> float:
    """The standard deviation within a level, by what each differs from the one before: levels leave it alone."""
    steps = np.abs(np.diff(logs))
    return max(float(np.median(steps)) * 1.4826 / math.sqrt(2), _LEAST_SPREAD)


def _tamed(logs: _Array) -> _Array:
    """With each no further from the median of the five nights around it than is odd."""
    medians = np.median(np.lib.stride_tricks.sliding_window_view(logs, 5), axis=1)
    middle = medians[np.clip(np.arange(len(logs)) - 2, 0, len(medians) - 1)]
    most = _MOST_ODD * _spread(logs)
    return np.clip(logs, middle - most, middle + most)


def _candidates(logs: _Array) -> list[int]:
    """Where the cheapest cut into levels has its ends."""
    count = len(logs)
    sums, squares = (np.concatenate([[0.0], np.cumsum(each)]) for each in (logs, logs**2))
    penalty = _PENALTY * _spread(logs) ** 2
    best, before = np.full(count + 1, np.inf), [0] * (count + 1)
    best[0] = -penalty
    for end in range(_SHORTEST, count + 1):
        starts = np.arange(end - _SHORTEST + 1)
        cost = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / (end - starts)
        total = best[starts] + cost + penalty
        before[end] = int(np.argmin(total))
        best[end] = total[before[end]]
    cuts, end = [], before[count]
    while end:
        cuts.append(end)
        end = before[end]
    return cuts[::-1]


def _change(raw: _Array, tame: _Array, ends: Sequence[int]) -> Change:
    """Between the levels on both sides of ``ends[1]``."""
    begin, at, end = ends
    old, new = tame[begin:at], tame[at:end]
    freedom, apart = end - begin - 2, float(new.mean() - old.mean())
    rests = old - old.mean(), new - new.mean()
    squares = sum(float(each @ each) for each in rests)
    alike = sum(float(each[1:] @ each[:-1]) for each in rests) / squares if squares else 0.0
    means = sum(_grown(len(each), min(max(alike, 0.0), _MOST_ALIKE)) / len(each) for each in rests)
    error = math.sqrt(max(squares / freedom, _LEAST_SPREAD**2) * means)
    p_value = 2 * float(special.stdtr(freedom, -abs(apart) / error)) * min(len(old), len(new)) ** 2
    before, after = float(np.median(raw[begin:at])), float(np.median(raw[at:end]))
    moved = after - before
    if not (_shown(raw[at:end] - before, moved) and _shown(after - raw[begin:at], moved)):
        p_value = 1.0
    return Change(at, math.expm1(moved), min(1.0, p_value))


def _shown(shifts: _Array, moved: float) -> bool:
    """Whether as many nights of a level as must are by ``_LEAST_PART`` of ``moved`` from the other level's median."""
    return float(np.sort(shifts * moved)[len(shifts) // _MAY_MISS]) >= _LEAST_PART * moved**2


def _grown(nights: int, alike: float) -> float:
    """By how much a mean's variance grows where each night is so correlated with the one before (AR(1))."""
    apart = np.arange(1, nights)
    return 1 + 2 * float(((1 - apart / nights) * alike**apart).sum())
