"""What was delivered in a stretch of time with one choice, and whether the link was the limit then. Pure: numbers in and out."""

from __future__ import annotations

from dataclasses import dataclass

from harness.migrator.choose.link_rate import LinkRate

_OBSERVED_S = 0.05
_IDLE_SHARE = 0.2
_LIMITED_SHARE, _FULL_SHARE = 0.3, 0.85
"""The link was no limit if it was known for one for less than this part of a stretch, and carried less than this part of what it
can: in the first tenth of a second there are no looks yet that would show it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """``bytes_per_s`` of the source's stream were delivered for ``took_s``."""

    bytes_per_s: float
    took_s: float
    link_was_free: bool


@dataclass(frozen=True, slots=True)
class _Begin:
    choice: int
    now_s: float
    total_bytes: int
    held_back_s: float
    limited_s: float
    arrived_bytes: int


class Stretches:
    """Of a migration over ``link``, one behind the other."""

    def __init__(self, link: LinkRate) -> None:
        self._link = link
        self._begin: _Begin | None = None

    def delivered(self, now_s: float, choice: int, total_bytes: int, held_back_s: float) -> Stretch | None:
        """A batch of ``choice`` arrived, ``total_bytes`` in all; for ``held_back_s`` in all the source let us wait, or the window
        was still growing: neither says anything of the choice. Gives the stretch that it ends, if that says something."""
        since, link = self._begin, self._link
        if since is not None and since.choice == choice and now_s - since.now_s < _OBSERVED_S:
            return None
        self._begin = _Begin(choice, now_s, total_bytes, held_back_s, link.limited_s, link.arrived_bytes)
        if since is None or since.choice != choice or total_bytes == since.total_bytes:
            return None  # what was under way of the last choice has just drained
        took_s = now_s - since.now_s
        if held_back_s - since.held_back_s > _IDLE_SHARE * took_s:
            return None
        arrived_bytes_per_s = (link.arrived_bytes - since.arrived_bytes) / took_s
        free = link.limited_s - since.limited_s < _LIMITED_SHARE * took_s and (
            arrived_bytes_per_s < _FULL_SHARE * link.could_carry_bytes_per_s
        )
        return Stretch((total_bytes - since.total_bytes) / took_s, took_s, free)
