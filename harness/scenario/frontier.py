"""``[frontier]``: where to look for the point at which a method stops converging, instead of repeats."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.scenario.fault import Fault, shown
from harness.scenario.part import Part, PositiveRate, Seconds
from harness.units import format_rate

MAX_DOWNTIME_LIMIT_S = 2000.0
"""QEMU refuses a larger downtime-limit."""


class RateRange(Part):
    """``[frontier.dirty_rate]``: dirty rates between which a frontier is looked for."""

    from_bytes_per_s: PositiveRate = Field(alias="from")
    """The lowest; less than to."""
    to_bytes_per_s: PositiveRate = Field(alias="to")
    """The highest."""

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.from_bytes_per_s >= self.to_bytes_per_s:
            to = format_rate(self.to_bytes_per_s)
            raise Fault(
                ("from",), f"{format_rate(self.from_bytes_per_s)}: must be less than to ({to})", because=("to",)
            )
        return self


class LimitRange(Part):
    """``[frontier.downtime_limit]``: downtime limits between which a frontier is looked for."""

    from_s: Seconds = Field(alias="from")
    """The shortest, in whole milliseconds; less than to."""
    to_s: Seconds = Field(alias="to")
    """The longest, in whole milliseconds; QEMU takes at most 2000 s."""

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        for name, value_s in (("from", self.from_s), ("to", self.to_s)):
            if not math.isclose(value_s * 1e3, round(value_s * 1e3)) or not 0.001 <= value_s <= MAX_DOWNTIME_LIMIT_S:
                most = f"from 1 ms to {MAX_DOWNTIME_LIMIT_S:g} s"
                raise Fault((name,), f"{value_s * 1e3:g} ms: QEMU takes whole milliseconds, {most}")
        if self.from_s >= self.to_s:
            ends = f"{self.from_s * 1e3:g} ms: must be less than to ({self.to_s * 1e3:g} ms)"
            raise Fault(("from",), ends, because=("to",))
        return self


class FrontierSearch(Part):
    """``[frontier]``: instead of repeats, the highest ``dirty_rate`` and lowest ``downtime_limit`` at which a method converges.

    Each is looked for with the other as the scenario has it.
    """

    find: tuple[Literal["dirty_rate", "downtime_limit"], ...] | None = Field(default=None, strict=False)
    """Which, in what order; without it all that have a range."""
    dirty_rate: RateRange | None = None
    """Where to look for the highest dirty rate: from and to."""
    downtime_limit: LimitRange | None = None
    """Where to look for the lowest downtime limit: from and to."""
    tolerance: float = Field(default=1.1, ge=1.02, le=10)
    """How close a bracket's ends must come, as a factor."""
    attempts: int = Field(default=3, ge=1, le=9)
    """How often each value is tried; most of them decide. Odd."""

    @property
    def searches(self) -> tuple[str, ...]:
        """What is looked for, in order."""
        if self.find is not None:
            return self.find
        return tuple(name for name in ("dirty_rate", "downtime_limit") if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if self.attempts % 2 == 0:
            raise Fault(("attempts",), f"{self.attempts}: must be odd, so that most of them decide")
        if not self.searches or len(set(self.searches)) != len(self.searches):
            raise Fault(("find",), f"{shown(list(self.searches))}: write dirty_rate, downtime_limit, or both")
        for name in self.searches:
            if getattr(self, name) is None:
                raise Fault((name,), "is missing: say where to look: from and to")
        return self
