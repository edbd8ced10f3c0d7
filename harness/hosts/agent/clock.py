"""What another host's wall clock is ahead of ours: by round trips, of which the shortest tells most."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.hosts.contract import ClockOffset

_ROUND_TRIPS = 15


def best_of(
    ask_s: Callable[[], float], round_trips: int = _ROUND_TRIPS, now_s: Callable[[], float] = time.time
) -> ClockOffset:
    """``ask_s`` tells the other clock. It was read at some moment between question and answer, so half of the time between is the
    error."""
    found = []
    for _ in range(round_trips):
        asked_s = now_s()
        theirs_s = ask_s()
        half_s = (now_s() - asked_s) / 2
        found.append(ClockOffset(theirs_s - asked_s - half_s, half_s))
    return min(found, key=lambda offset: offset.error_s)
