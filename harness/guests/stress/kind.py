"""The stress guest as a kind: what a scenario may say of it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from harness.scenario.fault import Fault
from harness.scenario.kinds import GuestKind
from harness.streams.memory.settings import MemorySettings
from harness.units import MIB, format_bytes

__all__ = ["Stress", "StressSettings"]

STEP_BYTES = 2 * MIB
MAX_MEMORY_BYTES = 60 << 30
MAX_CHANGED_BYTES = 4080
"""The guest maps up to 60 GiB in pages of 2 MiB, and needs the head of each dirtied page for its checks."""


class StressSettings(MemorySettings):
    """A bare-metal guest that dirties its memory at a set rate, and checks it."""

    kind: Literal["stress"] = "stress"
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    """"auto": KVM where a trial boot works, else TCG, QEMU's emulation."""
    qemu: str = Field(default="qemu-system-x86_64", min_length=1)
    """The QEMU binary, by name or path."""

    @model_validator(mode="after")
    def _what_the_guest_maps(self) -> Self:
        memory, changed = self.memory_bytes, self.changed_bytes_per_page
        if memory % STEP_BYTES or memory > MAX_MEMORY_BYTES:
            most = format_bytes(MAX_MEMORY_BYTES)
            raise Fault(("memory",), f"{format_bytes(memory)}: must be a multiple of 2 MiB, {most} at most")
        if changed % 8 or changed > MAX_CHANGED_BYTES:
            most = f"{MAX_CHANGED_BYTES} at most"
            raise Fault(("changed_bytes_per_page",), f"{changed}: must be a multiple of 8, {most}")
        return self


class Stress(GuestKind):
    """Lives in two QEMUs."""

    settings = StressSettings
    summary = "a bare-metal guest that dirties its memory at a set rate, and checks it"
