"""How long a link takes there and back when nothing waits in it: the distance, which no window makes shorter. Pure: numbers in, a
number out.

Taken from the halves' own confirmations, not from the kernel's: a tunnel or a relay in between ends the kernel's connection and
so hides the distance. What a confirmation takes above the shortest of late is waiting. That shortest is believed for ten seconds,
or for one in which nothing came near it; then the window is lowered for a moment, so that the link runs empty and shows its
distance anew (after BBR's ProbeRTT, draft-ietf-ccwg-bbr, section 5.3.4).
"""

from __future__ import annotations

import math

_BELIEVED_S = 10.0
_DOUBTED_S = 1.0
_SAME_S = 0.001
_NEAR_S = 0.070
"""Twice what the window lets wait (``policy.py``)."""

_EMPTY_AFTER_S = 0.050
"""What is sent so long after the window was lowered meets an empty link."""


class RoundTrip:
    """``base_s``: the round trip of a link in which nothing waits, as known now."""

    def __init__(self, first_s: float) -> None:
        """``first_s``: measured on an idle link, before the migration."""
        self.base_s = first_s
        self._same_s = self._near_s = math.inf
        self._emptying_since_s: float | None = None

    @property
    def wants_emptying(self) -> bool:
        """Less than the distance holds should be under way, for a moment."""
        return self._emptying_since_s is not None

    def seen(self, now_s: float, took_s: float) -> None:
        """Something was confirmed at ``now_s``, ``took_s`` after it was handed to the kernel."""
        if math.isinf(self._same_s) or took_s <= self.base_s + _SAME_S:
            self._settle(now_s, min(self.base_s, took_s))
        elif self._emptying_since_s is not None:
            if now_s - took_s >= self._emptying_since_s + _EMPTY_AFTER_S:
                self._settle(now_s, took_s)
        elif self._is_doubtful(now_s, took_s):
            self._emptying_since_s = now_s

    def _is_doubtful(self, now_s: float, took_s: float) -> bool:
        if took_s <= self.base_s + _NEAR_S:
            self._near_s = now_s
        return now_s - self._same_s >= _BELIEVED_S or now_s - self._near_s >= _DOUBTED_S

    def _settle(self, now_s: float, base_s: float) -> None:
        self.base_s = base_s
        self._same_s = self._near_s = now_s
        self._emptying_since_s = None
