"""What a guest felt of its migration: its own counts of work, before, during and after it.

``felt`` computes, from a series of counts and the moments of a migration; ``follow`` gets both from consoles, and waits until the
guest has been heard long enough. Neither asks the guest anything: what answers a question does less of its work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.guests.console import Consoles
from harness.results.work import GuestWork, WorkPoint

BEFORE_S = 1.0
"""Work is counted for so long before a migration, to know what is normal."""
AFTER_S = 1.0
"""Work is counted for so long after a migration: caches are cold then, and the guest may make up for what it owes."""
_FEWEST = 5
"""Counts before a migration, if a guest tells them more slowly than every 0.2 s."""
_PATIENCE_S = 60.0
_MOST_POINTS = 160
_CLOSELY_S = 2.0
"""Before the guest stops, and from then on, every count is kept."""

Series = Sequence[tuple[float, float]]
"""When a count was heard, in seconds, and the count; in their order."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of one migration, by the monotonic clock. ``held_s``: for how long the destination's guest was kept from going on at
    ``resume_s``, which no figure counts."""

    began_s: float
    stop_s: float
    resume_s: float
    over_s: float
    held_s: float = 0.0


def wait_normal(consoles: Consoles, since_s: float) -> None:
    """Until the source's guest, if it counts, has been heard for ``BEFORE_S`` since it was ready."""
    if consoles.work("source"):
        consoles.wait_work("source", since_s + BEFORE_S, _PATIENCE_S)


def follow(consoles: Consoles, unit: str, since_s: float, at: Moments) -> GuestWork | None:
    """What the guest, ready since ``since_s``, did from ``BEFORE_S`` before the migration until ``AFTER_S`` past it.

    None: it does not count, did nothing before the migration, or was not heard after it.
    """
    source = [(at_s, done) for at_s, done in consoles.work("source") if at_s >= since_s]
    before = [each for each in source if each[0] <= at.began_s]
    if _pace(before) is None:
        return None
    first_s = min(
        at.began_s - BEFORE_S, before[-_FEWEST:][0][0]
    )  # what comes before that is a program getting into its stride
    source = [each for each in source if each[0] >= first_s]
    if not consoles.wait_work("destination", at.over_s + at.held_s + AFTER_S, _PATIENCE_S):
        return None
    destination = [(at_s - at.held_s, done) for at_s, done in consoles.work("destination")]
    series = [(at_s - at.began_s, done) for at_s, done in (*source, *destination)]
    return felt(series, unit, at.stop_s - at.began_s, at.resume_s - at.began_s, at.over_s - at.began_s)


def felt(series: Series, unit: str, stop_s: float, resume_s: float, over_s: float) -> GuestWork | None:
    """All times count from the ``migrate`` command; between two counts the guest works evenly while it runs.

    None: too little was heard before the migration or after it, or the count fell, so that it is none of work.
    """
    end_s = over_s + AFTER_S
    normal = _pace([each for each in series if each[0] <= 0])
    if normal is None or series[-1][0] < end_s or any(now < then for (_, then), (_, now) in pairwise(series)):
        return None

    def ran_s(at_s: float) -> float:
        return at_s - max(0.0, min(at_s, resume_s) - stop_s)

    heard_s, counts = [ran_s(at_s) for at_s, _ in series], [done for _, done in series]
    begun, over, ended = (float(done) for done in np.interp([ran_s(0.0), ran_s(over_s), ran_s(end_s)], heard_s, counts))
    return GuestWork(
        unit,
        stop_s=stop_s,
        resume_s=resume_s,
        over_s=over_s,
        end_s=end_s,
        before_per_s=normal.per_s,
        during_per_s=(over - begun) / over_s,
        after_per_s=(ended - over) / AFTER_S,
        lost_s=end_s - (ended - begun) / normal.per_s,
        lost_within_s=None if normal.within is None else normal.within * end_s,
        points=_points(series, stop_s - _CLOSELY_S),
    )


@dataclass(frozen=True, slots=True)
class _Pace:
    """Work a second. ``within``: two standard errors of it, as a share of it; None: of two counts nobody knows."""

    per_s: float
    within: float | None


def _pace(series: Series) -> _Pace | None:
    """Of the straight line that fits best, as counts arrive late at times. None: there are no two, or no work was done."""
    if len(series) < 2 or series[-1][1] <= series[0][1]:
        return None
    at_s, done = np.array(series, dtype=float).T
    at_s -= at_s.mean()
    done -= done.mean()
    spread = float(at_s @ at_s)
    if not spread or (per_s := float(at_s @ done) / spread) <= 0:
        return None
    if len(series) < 3:
        return _Pace(per_s, None)
    left = done - per_s * at_s
    return _Pace(per_s, 2 * float(np.sqrt(left @ left / (len(series) - 2) / spread)) / per_s)


def _points(series: Series, closely_s: float) -> tuple[WorkPoint, ...]:
    """``_MOST_POINTS`` at most; those from ``closely_s`` on are thinned last."""
    early = [each for each in series if each[0] < closely_s]
    late = _thinned(series[len(early) :], _MOST_POINTS // 2)
    kept = [*_thinned(early, _MOST_POINTS - len(late)), *late]
    return tuple(WorkPoint(round(at_s, 4), done - series[0][1]) for at_s, done in kept)


def _thinned(series: Series, most: int) -> Series:
    """The first and the last, and others evenly between them."""
    if len(series) <= most:
        return series
    return [series[round(index)] for index in np.linspace(0, len(series) - 1, most)]
