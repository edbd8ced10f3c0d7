"""How much time may go into trials, in which a candidate compresses a batch that another one sends. Pure."""

from __future__ import annotations

__all__ = ["TrialBudget"]

_SHARE = 0.005
_FIRST_S = 0.001


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
