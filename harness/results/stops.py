"""What was decided of the moment at which a source QEMU stopped its guest, read from a run's ``steering``, and told in a sentence.

Only where the downtime was to be the shortest; a wanted downtime in milliseconds has no such decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.units import format_duration, format_rate


class Why(Enum):
    """What the guest was to be stopped for, as results have it, and (``str``) in words."""

    LITTLE = "little_left"
    DEAR = "next_pass_too_dear"
    SPENT = "share_spent"
    STUCK = "no_pass_shorter"

    def __str__(self) -> str:
        """What QEMU was told."""
        return _WORDS[self]


_WORDS = {
    Why.LITTLE: "to stop once next to nothing is left to send",
    Why.DEAR: "to stop now, as one more pass would cost more than it shortens the stop by",
    Why.SPENT: "to stop now, as passes for a shorter stop have taken their share of the total time",
    Why.STUCK: "to stop now, as the guest writes as fast as its memory is carried and no pass gets shorter",
}


_KNOWN = {each.value for each in Why}
_SHOWN: Mapping[str, Callable[[int], str]] = {
    "downtime-limit": lambda value: f"{value} ms",
    "avail-switchover-bandwidth": format_rate,
}
"""QEMU's parameters, and how a value of each is written."""


@dataclass(frozen=True, slots=True)
class Stop:
    """``at_s``: when QEMU was told, from the begin on, in pass ``passes``; ``predicted_s``: how long its guest would stop."""

    why: Why
    parameter: str
    value: int
    at_s: float
    passes: int
    predicted_s: float

    @property
    def told(self) -> str:
        """``downtime-limit 10 ms``."""
        return f"{self.parameter} {_SHOWN[self.parameter](self.value)}"

    def sentence(self, got_s: float | None) -> str:
        """``got_s``: for how long it stood still."""
        got = "" if got_s is None else f", it took {format_duration(got_s)}"
        return (
            f"{self.told} after {self.at_s:.2f} s, in pass {self.passes}: {self.why}; "
            f"predicted {format_duration(self.predicted_s)}{got}"
        )


def stop_of(steering: Sequence[Mapping[str, object]]) -> Stop | None:
    """The decision that was in force when the guest was stopped, the last; None: there was none, or a file says nonsense."""
    match steering[-1] if steering else {}:
        case {
            "why": str(why), "parameter": str(parameter), "value": int(value), "at_s": float() | int() as at_s,
            "passes": int(passes), "predicted_downtime_s": float() | int() as predicted_s,
        } if why in _KNOWN and parameter in _SHOWN and math.isfinite(at_s) and math.isfinite(predicted_s):  # fmt: skip
            return Stop(Why(why), parameter, value, at_s, passes, predicted_s)
    return None
