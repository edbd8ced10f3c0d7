"""Our bare-metal guest as a kind of guest: what a scenario may say of it, its memory images, its arguments for QEMU, and what it is
asked on its console.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.errors import QemuError
from harness.guests.compare import Finding, Verdict
from harness.guests.console import Consoles, Feed, GuestFailure
from harness.guests.qemu_guest import QemuGuest
from harness.guests.qemu_kind import CONSOLE, Beating, Pulse, Sides, Writes
from harness.guests.qemu_settings import QemuSettings
from harness.guests.stress import Command, Console, Status, StressConfig, VerifyReport, boot, devices, layout
from harness.guests.stress.layout import Layout
from harness.guests.verify import Dumped, dump_bytes, verify
from harness.qemu.memory import GuestMemory
from harness.results.cache import cache_dir
from harness.scenario.fault import Fault
from harness.scenario.model import Scenario
from harness.scenario.part import Bytes
from harness.streams.memory import memory
from harness.streams.memory.settings import MemorySettings
from harness.units import MIB, format_bytes

_ANSWER_TIMEOUT_S = 60.0
_CHECK_TIMEOUT_S = 60.0
_PROBE = StressConfig(memory_bytes=16 << 20, working_set_bytes=1 << 20, dirty_rate_bytes_per_s=0)
STEP_BYTES = 2 * MIB
MAX_MEMORY_BYTES = 60 << 30
MAX_CHANGED_BYTES = 4080
"""The guest maps up to 60 GiB in pages of 2 MiB, and needs the head of each dirtied page for its checks."""


class StressSettings(QemuSettings, MemorySettings):
    """A bare-metal guest that dirties its memory at a set rate, and checks it."""

    kind: Literal["stress"] = "stress"
    memory_bytes: Bytes = Field(default=512 * MIB, alias="memory")
    """The guest's RAM, a multiple of 2 MiB from 16 MiB to 60 GiB."""
    changed_bytes_per_page: int = Field(default=64, ge=0, le=MAX_CHANGED_BYTES, multiple_of=8)
    """How much of a page a write changes."""

    @model_validator(mode="after")
    def _one_processor(self) -> Self:
        if self.cpus > 1:
            reason = "the stress guest uses one processor: leave the key out, or take a guest of another kind"
            raise Fault(("cpus",), f"{self.cpus}: {reason}")
        return self

    @model_validator(mode="after")
    def _what_the_guest_maps(self) -> Self:
        memory = self.memory_bytes
        if memory % STEP_BYTES or memory > MAX_MEMORY_BYTES:
            most = format_bytes(MAX_MEMORY_BYTES)
            raise Fault(("memory",), f"{format_bytes(memory)}: must be a multiple of 2 MiB, {most} at most")
        return self


class Stress(QemuGuest, Beating):
    """Lives in two QEMUs; its working set is dirtied at a set rate."""

    settings = StressSettings
    travels = True
    pulse = Pulse(before=20, after=10)  # of 10 ms each
    work_unit = "page write"
    summary = "a bare-metal guest that dirties its memory at a set rate, and checks it"

    def __init__(self, scenario: Scenario) -> None:
        given = self.given_by(scenario, StressSettings)
        super().__init__(scenario, given)
        self.folder_bytes = dump_bytes(given.memory_bytes)
        self._given = given
        self._config = StressConfig(
            given.memory_bytes,
            given.working_set_bytes,
            given.dirty_rate_bytes_per_s,
            given.pattern,
            given.changed_bytes_per_page,
        )
        self._images: tuple[Path, ...] = ()

    def open(self) -> None:
        """Makes the images of its memory, or finds them. :raises MissingError: as every QEMU's guest, or no room for an image."""
        super().open()
        self._images = tuple(
            memory.cached_image(self._given.fill, part.bytes, self._given.seed + index, cache_dir())
            for index, part in enumerate(self.layout.fill)
        )

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """Shares, declared and measured zlib-1 ratios of the fill."""
        return {str(name): facts for name, facts in memory.measure_classes(self._given.fill, self._given.seed).items()}

    @property
    def layout(self) -> Layout:
        """Its map: which of its memory can be compared after a migration."""
        return layout(self._config)

    @classmethod
    def probe_arguments(cls, folder: Path) -> list[str]:
        """With memory that holds nothing."""
        image = folder / "empty.bin"
        image.write_bytes(b"\0")
        memory = GuestMemory(_PROBE.memory_bytes).arguments()
        return [*memory, *devices(CONSOLE), *boot(_PROBE, [image] * len(layout(_PROBE).fill))]

    def arguments(self, *, boots: bool) -> list[str]:
        """Only the source gets a kernel and the fill."""
        return [*devices(CONSOLE), *(boot(self._config, self._images, self.hosts[0].bring) if boots else ())]

    @staticmethod
    def feed() -> Feed:
        """Its language."""
        return Console().feed

    def wait_ready(self, sides: Sides, since_s: float, timeout_s: float) -> None:
        """Until it has stamped its whole working set."""
        said = sides.consoles.wait_said("source", _is_status("ready"), timeout_s, since_s=since_s)
        if isinstance(said, GuestFailure):
            raise QemuError(f"source: the guest does not run: {said.message}")

    def written(self, sides: Sides, side: str) -> Writes:
        """It answers at its next tick, in 10 ms if it keeps up."""
        since_s = time.monotonic()
        sides.consoles.send(side, Command.STATUS.value)
        heard = sides.consoles.wait_heard(side, _is_status("status"), _ANSWER_TIMEOUT_S, since_s=since_s)
        if not isinstance(heard.event, Status):
            raise QemuError(f"{side}: the guest does not say what it wrote: {heard.event}")
        return Writes(heard.event.writes, heard.at_s)

    def compare(self, sides: Sides) -> Sequence[Verdict]:
        """What it writes is checked by itself, and all else is compared."""
        source, destination = (
            Dumped(qemu.qmp, qemu.host, qemu.folder / f"{name}.ram") for name, qemu in sides.qemus.items()
        )
        blocks, checks = self._given.guest_memory.blocks, self.check(sides.consoles)
        return verify(source, destination, self.layout, blocks=blocks, guest_checks=checks)

    def check(self, consoles: Consoles) -> Sequence[Verdict]:
        """What it finds of every page of its working set, on the destination by now. Silence is a failed check, too."""
        since_s = time.monotonic()
        try:
            consoles.send("destination", Command.VERIFY.value)
            said = consoles.wait_said("destination", _is_verdict, _CHECK_TIMEOUT_S, since_s=since_s)
        except QemuError as exc:
            return [Finding(ok=False, line=str(exc))]
        return [said if isinstance(said, VerifyReport) else Finding(ok=False, line=f"guest: {said}")]


def _is_status(kind: str) -> Callable[[object], bool]:
    return lambda event: isinstance(event, GuestFailure) or (isinstance(event, Status) and event.kind == kind)


def _is_verdict(event: object) -> bool:
    return isinstance(event, VerifyReport | GuestFailure)
