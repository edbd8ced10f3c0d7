"""What a scenario may say of a Linux guest."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.guests.linux.workloads import WORKLOADS
from harness.guests.qemu_settings import QemuSettings
from harness.names import unknown
from harness.scenario.fault import Fault
from harness.units import format_bytes

Rate = Annotated[int, Field(ge=1, le=10**6)]


class LinuxSettings(QemuSettings):
    """Debian's kernel with a real program on it."""

    kind: Literal["linux"] = "linux"
    workload: str = "idle"
    """What runs in the guest: "idle", "filecache", "redis", "build", "heap" or "stress-ng": see [guests.md](../guests.md)."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """The same seed makes a workload choose the same keys, files or records."""
    rate: Rate | None = None
    """Operations a second, of a workload that has a rate: redis 200, heap 500, filecache 20 if the key is left out."""

    boot: Literal["run", "repeat"] = "run"
    """"run": each run boots a guest of its own. "repeat": each repeat boots one, whose state is saved when it is ready; the runs of
    that repeat, one of each method, begin from it, and so from equal guests: see [guests.md](../guests.md)."""
    append: str = ""
    """More words for the kernel's command line: "nokaslr"."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.workload not in WORKLOADS:
            raise Fault(("workload",), unknown("workload", self.workload, list(WORKLOADS)))
        workload = WORKLOADS[self.workload]
        if self.rate is not None and workload.rate is None:
            paced = " and ".join(f'"{name}"' for name, other in WORKLOADS.items() if other.rate is not None)
            reason = f'workload = "{self.workload}" has no rate: leave the key out, or take one that has: {paced}'
            raise Fault(("rate",), f"{self.rate}: {reason}", because=("workload",))
        if self.memory_bytes < workload.least_memory_bytes:
            least = format_bytes(workload.least_memory_bytes)
            reason = f'workload = "{self.workload}" needs {least} or more'
            raise Fault(("memory",), f"{format_bytes(self.memory_bytes)}: {reason}", because=("workload",))
        return self
