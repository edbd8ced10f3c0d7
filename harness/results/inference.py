"""Numbers -> what may be said of them: intervals, p-values, and how many runs more would decide. Knows no run and no metric.

Nothing here believes in a shape of the data. A median's interval is made of order statistics. Two samples are compared by their
ranks: the test's null distribution is exact, and a tie counts against a difference. The interval of a ratio is all
that this test does not refuse (Hodges and Lehmann 1963; its ends are two of the pairwise ratios), so it holds 1 just where the
test finds no difference. docs/statistics.md has what all this attains on simulated data.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FEWEST = 6
"""Below so many runs even their whole range holds the true median with less than 95 %."""
_MISS = 0.025
"""On each side of a median's interval."""
_POWER = 0.8
_EFFICIENCY = 3 / math.pi
"""Of ranks against means, of normal data (Hodges and Lehmann 1956)."""
_MOST_RUNS = 100_000
_EXACT_RUNS = 200
"""Of both sides together; beyond, the normal distribution is U's to four digits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """``coverage``: how surely it holds the true median, whatever the data's shape. Below ``FEWEST`` runs it is their range."""

    low: float
    high: float
    coverage: float


def median_interval(values: Sequence[float]) -> Interval:
    """The narrowest pair of order statistics that holds the median with 95 %, or with as much as so few values can."""
    ordered, (rank, coverage) = sorted(values), _order_statistic(len(values))
    return Interval(float(ordered[rank]), float(ordered[-1 - rank]), coverage)


def coverage(count: int) -> float:
    """How surely ``median_interval`` of so many values holds the true median."""
    return _order_statistic(count)[1]


def share_interval(count: int, of: int) -> tuple[float, float]:
    """What share of all cases is such, with 95 %, where ``count`` of ``of`` were: exact (Clopper and Pearson 1934).

    Of none there is no lower end to miss: all of the 5 % is above.
    """
    found = stats.binomtest(count, of, alternative="two-sided" if count else "less").proportion_ci(method="exact")
    return float(found.low), float(found.high)


@functools.cache
def _order_statistic(count: int) -> tuple[int, float]:
    """Which, from 0 on, and what it attains: as ``scipy.stats.quantile_test``, which has none where 95 % cannot be had."""
    rank = max(0, int(stats.binom.ppf(_MISS, count, 0.5)) - 1)
    return rank, 1 - 2 * float(stats.binom.cdf(rank, count, 0.5))


def p_value(new: Sequence[float], old: Sequence[float]) -> float:
    """Two-sided, of ranks."""
    below, above = _orders(new, old)
    return min(1.0, float(2 * _tail(len(new), len(old))[len(new) * len(old) - max(below, above)]))


def _orders(new: Sequence[float], old: Sequence[float]) -> tuple[int, int]:
    """In how many pairs the new value is below the old one, and above it."""
    pairs = np.subtract.outer(np.asarray(new, np.float64), np.asarray(old, np.float64))
    return int((pairs < 0).sum()), int((pairs > 0).sum())


@functools.lru_cache(maxsize=256)
def _tail(new: int, old: int) -> NDArray[np.float64]:
    """P(U <= u) for u = 0 to new * old, U being Mann and Whitney's: sums of the Gaussian binomial coefficient."""
    if new + old > _EXACT_RUNS:
        deviation = math.sqrt(new * old * (new + old + 1) / 12)
        return np.asarray(stats.norm.cdf((np.arange(new * old + 1) + 0.5 - new * old / 2) / deviation))
    counts = np.zeros(new * old + 1)
    counts[0] = 1.0
    for step in range(1, new + 1):  # times 1 - x^(old + step), over 1 - x^step
        counts[old + step :] -= counts[: -(old + step)].copy()
        for start in range(step):
            counts[start::step] = np.cumsum(counts[start::step])
    return np.asarray(np.cumsum(counts) / math.comb(new + old, new))


def ratio_interval(new: Sequence[float], old: Sequence[float], level: float) -> tuple[float, float] | None:
    """Of new over old, at the confidence 1 - ``level``; it leaves out 1 just where ``p_value`` is at most ``level``.

    None where so few runs cannot say it, or a value is not above 0.
    """
    if min(*new, *old) <= 0:
        return None
    ratios = np.divide.outer(np.asarray(new, np.float64), np.asarray(old, np.float64))
    return pair_interval(ratios, len(new), len(old), level)


def pair_interval(of_pairs: ArrayLike, new: int, old: int, level: float) -> tuple[float, float] | None:
    """Of a figure that each pair of a new and an old value gives, as ``of_pairs``: where what is above it is one sample's value
    before the other's, as in a ratio or a break-even, it is all that the test does not refuse. None: so few cannot say it."""
    refused = int(np.searchsorted(2 * _tail(new, old), level, side="right"))
    if not refused:
        return None
    ordered = np.sort(np.asarray(of_pairs, np.float64), axis=None)
    return float(ordered[refused - 1]), float(ordered[-refused])


def holm_levels(p_values: Sequence[float], level: float) -> list[float]:
    """For each hypothesis of a family the level that its p must reach, so that any false one is found with ``level`` at most.

    Holm's: the smallest p of k is held to level / k, the next one, if that was found, to level / (k - 1), and so on.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    steps = [level / (len(order) - place) for place in range(len(order))]
    found = next((place for place, step in enumerate(steps) if p_values[order[place]] > step), len(order))
    first = {
        p_values[index]: place for place, index in reversed([*enumerate(order)])
    }  # equal ones are held to the same
    return [steps[min(first[p_value], found)] for p_value in p_values]


def noise(new: Sequence[float], old: Sequence[float]) -> float | None:
    """Standard deviation of logarithms, both sides pooled: about the share by which values vary. None of one value each."""
    freedom = len(new) + len(old) - 2
    return math.sqrt(sum(map(_squares, (new, old))) / freedom) if freedom else None


def _squares(values: Sequence[float]) -> float:
    """Of the logarithms' distances from their mean; without arrays, which cost more than a few runs do."""
    logs = [math.log(value) for value in values]
    mean = math.fsum(logs) / len(logs)
    return math.fsum((each - mean) ** 2 for each in logs)


def visible_shift(spread: float, new: int, old: int, level: float) -> float | None:
    """The change, as a share, that so many runs with such ``noise`` find in 8 of 10 comparisons; None: they can find none."""
    reach = _reach(new, old, level)
    return None if reach is None else math.expm1(reach * spread * math.sqrt((1 / new + 1 / old) / _EFFICIENCY))


@functools.cache
def _reach(new: int, old: int, level: float) -> float | None:
    """Standard errors from nothing to what the test finds in 8 of 10 cases: as a t-test at the level that ranks attain."""
    if finds_nothing(new, old, level):
        return None
    if new + old <= _EXACT_RUNS:
        levels = 2 * _tail(new, old)
        level = float(levels[np.searchsorted(levels, level, side="right") - 1])
    return float(stats.t.ppf(1 - level / 2, new + old - 2) + stats.t.ppf(_POWER, new + old - 2))


def finds_nothing(new: int, old: int, level: float) -> bool:
    """Whether not even two samples of so many that lie wholly apart reach ``level``."""
    return 2 / math.comb(new + old, new) > level


@functools.cache
def fewest_runs(level: float) -> int:
    """On each side: with fewer not even two samples that lie wholly apart reach ``level``."""
    return next(runs for runs in range(2, _MOST_RUNS) if not finds_nothing(runs, runs, level))


def runs_to_see(change: float, spread: float, level: float) -> int:
    """On each side, so that ``visible_shift`` is no more than ``change`` (a share); at most ``_MOST_RUNS``."""
    normal = float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(_POWER))
    needed = 2 / _EFFICIENCY * (normal * spread / math.log1p(change)) ** 2
    runs = max(fewest_runs(level), math.ceil(min(needed, _MOST_RUNS)))
    while runs < _MOST_RUNS and not _sees(change, spread, runs, level):
        runs += 1
    return runs


def _sees(change: float, spread: float, runs: int, level: float) -> bool:
    visible = visible_shift(spread, runs, runs, level)
    return visible is not None and visible <= change
