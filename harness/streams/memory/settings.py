"""What a scenario says of a guest's memory where that is made by us: how much, of what, and what the guest writes."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.scenario.fault import Fault
from harness.scenario.kinds import GuestSettings
from harness.scenario.part import Bytes, Rate
from harness.units import MIB, PAGE_BYTES, format_bytes

PageClass = Literal["zero", "text", "code", "heap", "random", "duplicate"]

MIN_MEMORY_BYTES = 16 * MIB
MAX_MEMORY_BYTES = 1 << 40
FILL_TOLERANCE = 0.001


class MemorySettings(GuestSettings):
    """Memory with a seeded mix of contents, of which a working set is written."""

    memory_bytes: Bytes = Field(default=512 << 20, alias="memory")
    """The guest's RAM, in whole pages of 4 KiB, from 16 MiB to 1 TiB."""
    fill: dict[PageClass, float] = Field(default={"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1})
    """Each class of page's share of RAM, 0 to 1; they sum to 1."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """The same seed makes the same bytes on every host."""
    working_set_bytes: Bytes = Field(default=64 << 20, alias="working_set")
    """The part of RAM in which the guest writes, in whole pages of 4 KiB; at most half of it."""
    dirty_rate_bytes_per_s: Rate = Field(default=20 << 20, alias="dirty_rate")
    """Bytes a second in pages that the guest writes; "0B/s" is an idle guest."""
    pattern: Literal["sequential", "random"] = "sequential"
    """In what order the guest writes the pages of its working set."""
    changed_bytes_per_page: int = Field(default=64, ge=0, le=4096)
    """How much of a page a write changes."""

    @model_validator(mode="after")
    def _pages_that_fit(self) -> Self:
        memory, working_set = self.memory_bytes, self.working_set_bytes
        if not MIN_MEMORY_BYTES <= memory <= MAX_MEMORY_BYTES:
            limits = f"{format_bytes(MIN_MEMORY_BYTES)} to {format_bytes(MAX_MEMORY_BYTES)}"
            raise Fault(("memory",), f"{format_bytes(memory)}: must be {limits}")
        for name, value in (("memory", memory), ("working_set", working_set)):
            if value % PAGE_BYTES:
                raise Fault((name,), f"{value} bytes: must be whole pages of 4 KiB")
        if working_set < PAGE_BYTES:
            raise Fault(("working_set",), f'{working_set} bytes: must be at least one page; "0B/s" as dirty_rate idles')
        if working_set > memory // 2:
            reason = f"must be at most half of memory ({format_bytes(memory)}), whose rest holds the filled pages"
            raise Fault(("working_set",), f"{format_bytes(working_set)}: {reason}", because=("memory",))
        return self

    @model_validator(mode="after")
    def _whole_fill(self) -> Self:
        for name, share in self.fill.items():
            if not (math.isfinite(share) and 0 <= share <= 1):
                raise Fault(("fill", name), f"{share}: must be a share of RAM, 0 to 1")
        total = math.fsum(self.fill.values())
        if abs(total - 1) > FILL_TOLERANCE:
            raise Fault(("fill",), f"the shares sum to {total:.4g}: they must sum to 1")
        return self
