"""Whether a Linux kernel runs at all: booted with the heart as its first and only process. Knows no kind of guest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.guests.console import Feed
from harness.guests.linux.console import Console
from harness.guests.linux.cpio import archive, data_file, device, program
from harness.guests.linux.heart import HEART
from harness.guests.qemu_kind import CONSOLE
from harness.qemu.memory import GuestMemory
from harness.units import MIB

BARE = ("-nodefaults", "-no-user-config", "-display", "none", "-bios", "qboot.rom", "-serial", f"chardev:{CONSOLE}")
"""A machine with a serial console and nothing else, whose firmware does nothing but boot a kernel."""
_TTY_S0 = (4, 64)  # Linux, Documentation/admin-guide/devices.txt


@dataclass(frozen=True, slots=True)
class KernelTrial:
    """A guest that beats as soon as ``kernel`` has started its first process, for ``probe_accel``.

    A kernel without a driver for a serial line, or for an initrd, beats nowhere.
    """

    kernel: Path
    first_beat_s: ClassVar[float] = 8.0
    memory_bytes: ClassVar[int] = 256 * MIB

    def probe_arguments(self, folder: Path) -> list[str]:
        """QEMU's."""
        initrd = folder / "heart.cpio"
        files = {"heart": program(HEART.read_bytes()), "done": data_file(b"0"), "dev/ttyS0": device(*_TTY_S0)}
        initrd.write_bytes(archive(files))
        told = "console=ttyS0 quiet panic=-1 rdinit=/heart -- /dev/ttyS0 /done"
        boot = ["-kernel", str(self.kernel), "-initrd", str(initrd), "-append", told]
        return [*GuestMemory(self.memory_bytes).arguments(), *BARE, *boot]

    @staticmethod
    def feed() -> Feed:
        """The heart's language."""
        return Console().feed
