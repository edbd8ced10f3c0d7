"""What a guest did around its migration, by its own count of work: part of a run. Knows nothing of how it was counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, slots=True)
class WorkPoint:
    """One time that the guest told its count."""

    t_s: float
    """When it was heard, since the ``migrate`` command; below 0: before it."""
    done: float
    """How much it had done since the first point, in its unit."""


@dataclass(frozen=True, slots=True)
class GuestWork:
    """What the guest felt of one migration: how much it did before, during and after it, by its own count."""

    unit: str
    """What it counts, one of them: "page write"."""
    stop_s: float
    """When the source's guest stopped, since the ``migrate`` command."""
    resume_s: float
    """When the destination's guest went on, on the same clock; where it was held to be compared, when it could have gone on."""
    over_s: float
    """When the migration was over, on the same clock."""
    end_s: float
    """Until when its work was counted, on the same clock: a second longer."""
    before_per_s: Annotated[float, Field(gt=0)]
    """Its work a second in the last second before the ``migrate`` command."""
    during_per_s: float
    """Its work a second from the ``migrate`` command until the migration was over, the time in which it stood still included."""
    after_per_s: float
    """Its work a second in the second after that."""
    lost_s: float
    """Seconds of normal work that it did not do: what it would have done from the ``migrate`` command to ``end_s`` at the pace of
    before, less what it did, over the pace of before."""
    lost_within_s: float | None
    """So far may ``lost_s`` be off, as the pace of before was not even: two standard errors; null: nobody knows, of two counts."""
    points: tuple[WorkPoint, ...]
    """Its count over time, in their order: all from shortly before it stopped on, some of those before."""


def lost_within_s(works: Iterable[GuestWork]) -> float | None:
    """How far ``lost_s`` of one of these runs may be off: the median; None: nobody knows of any."""
    known = [work.lost_within_s for work in works if work.lost_within_s is not None]
    return median(known) if known else None
