"""What a scenario may say of every guest that lives in QEMU, whatever its kind: the QEMU, the processors, the memory."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from harness.qemu.memory import GuestMemory
from harness.results.doubt import Doubt
from harness.results.doubts import NotPreallocated
from harness.scenario.fault import Fault
from harness.scenario.kinds import GuestSettings
from harness.scenario.part import Bytes
from harness.units import MIB, PAGE_BYTES, format_bytes

_HUGEPAGE_BYTES = {False: None, "2MiB": 2 * MIB, "1GiB": 1024 * MIB}


class QemuSettings(GuestSettings):
    """Both QEMUs are given the same."""

    memory_bytes: Bytes = Field(default=512 * MIB, alias="memory")
    """The guest's RAM."""
    prealloc: bool = True
    """Whether QEMU touches all of the guest's memory before the guest runs; else the migration pays for each page's first touch."""
    hugepages: Literal[False, "2MiB", "1GiB"] = False
    """Whether the guest's memory is of the host's huge pages, and of which size; they must have been reserved."""
    cpus: int = Field(default=1, ge=1, le=255)
    """The guest's processors; of several NUMA nodes, each has as many."""
    numa: int = Field(default=1, ge=1, le=64)
    """The guest's NUMA nodes: equal parts of its memory, each a RAM block of its own; a single processor is the first node's."""
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    """"auto": KVM where a trial boot works, else TCG, QEMU's emulation."""
    qemu: str = Field(default="qemu-system-x86_64", min_length=1)
    """The QEMU binary, by name or path."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        page_bytes = _HUGEPAGE_BYTES[self.hugepages] or PAGE_BYTES
        if self.memory_bytes == 0 or self.memory_bytes % (self.numa * page_bytes):
            why = ("hugepages",) if self.hugepages else ("numa",)
            must = f"whole pages of {format_bytes(page_bytes)}" + f" in each of {self.numa} nodes" * (self.numa > 1)
            raise Fault(("memory",), f"{format_bytes(self.memory_bytes)}: must be {must}", because=why)
        if self.cpus > 1 and self.cpus % self.numa:
            reason = f"must be a multiple of numa ({self.numa} nodes), or 1"
            raise Fault(("cpus",), f"{self.cpus}: {reason}", because=("numa",))
        return self

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """Memory that is touched first."""
        return () if self.prealloc else (NotPreallocated("guest.prealloc = false"),)

    @property
    def guest_memory(self) -> GuestMemory:
        """For both QEMUs."""
        return GuestMemory(
            self.memory_bytes,
            self.cpus,
            self.numa,
            prealloc=self.prealloc,
            hugepage_bytes=_HUGEPAGE_BYTES[self.hugepages],
        )
