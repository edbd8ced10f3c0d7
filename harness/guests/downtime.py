"""How long the guest stood still: by QEMU's events, and by the guest's own heartbeats. Starts no QEMU.

Events carry the host's wall clock, heartbeats are stamped on arrival with the monotonic clock; ``wall_to_monotonic_s``
turns one into the other with an offset taken during the run.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from harness.errors import QemuError


def stop_to_resume_s(stop_at_s: float, resume_at_s: float, error_s: float = 0.0) -> float | None:
    """Source STOP to destination RESUME, on one clock. ``error_s``: by how much that may be wrong, where they are of two hosts;
    None: what they are apart is less.

    :raises QemuError: the order is impossible, so the stamps are not of one clock, or not of one migration.
    """
    if abs(resume_at_s - stop_at_s) < error_s:
        return None
    if resume_at_s < stop_at_s:
        raise QemuError(
            f"destination RESUME at {resume_at_s:.6f} is {stop_at_s - resume_at_s:.6f} s before source STOP: "
            "the clock was set back during the run; run it again"
        )
    return resume_at_s - stop_at_s


def wall_to_monotonic_s(at_s: float) -> float:
    """A moment of the wall clock, as the monotonic clock shows it now; exact unless the wall clock was moved since."""
    return at_s - (time.time() - time.monotonic())


def longest_silence_s(beats_at_s: Sequence[float], begin_s: float, resume_s: float, after: int) -> float | None:
    """The longest time between two consecutive heartbeats, from the last before ``begin_s`` to number ``after`` past ``resume_s``.

    ``beats_at_s``: both consoles' beats, ascending, on the clock of the other two. None where the guest was never heard before
    ``begin_s``, or too rarely past ``resume_s``: then no silence has an end that was seen.
    """
    first = bisect_left(beats_at_s, begin_s) - 1
    last = bisect_left(beats_at_s, resume_s) + after
    if first < 0 or last > len(beats_at_s):
        return None
    heard = beats_at_s[first:last]
    return max(after - before for before, after in pairwise(heard))
