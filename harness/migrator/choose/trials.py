"""How much time may go into trials, in which a candidate compresses a batch that another one sends. Pure."""

from __future__ import annotations

_SHARE = 0.005
_FIRST_S = 0.002
"""In the tests' model of two hosts with two cores each, 96 MiB at 1 Gbit/s take 7.4 % longer than by the best fixed choice with
0.001, 6.4 % with 0.002, and 6.3 % with 0.008; elsewhere it is alike (2026-11-28)."""


class TrialBudget:
    """``_FIRST_S``, and from then on ``_SHARE`` of the time. A trial is paid by what it is expected to take, before it begins, and
    by what it took once that is known."""

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._expected_s: dict[int, float] = {}

    def begin(self, choice: int, elapsed_s: float, expected_s: float) -> bool:
        """Pay for one of ``choice``, of which no other is under way, ``elapsed_s`` after the first batch; False: it is too dear."""
        if self._spent_s + sum(self._expected_s.values()) + expected_s > _FIRST_S + _SHARE * elapsed_s:
            return False
        self._expected_s[choice] = expected_s
        return True

    def end(self, choice: int, took_s: float) -> None:
        """It is back."""
        self._expected_s.pop(choice, None)
        self._spent_s += took_s
