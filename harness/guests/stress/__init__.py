"""Our bare-metal guest: dirties a working set at a set rate, beats at 100 Hz, and checks its own pages on request.

This package knows the guest's memory, its command line, its devices and its words; who starts QEMU and connects to the
console is elsewhere. ``src/`` is the guest itself, ``stress.elf`` what ``build`` makes of it.

Both sides get ``devices``; the source also gets ``boot``. The destination needs neither kernel nor fill: all of its
memory comes with the migration, which is what proves that it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.guests.stress.console import Command, Console, Event, GuestFailure, Heartbeat, Noise, Status, VerifyReport
from harness.guests.stress.layout import Layout, StressConfig, command_line, layout
from harness.qemu.process import option_value

__all__ = [
    "Command",
    "Console",
    "Event",
    "GuestFailure",
    "Heartbeat",
    "Layout",
    "Noise",
    "Status",
    "StressConfig",
    "VerifyReport",
    "boot",
    "command_line",
    "devices",
    "kernel_path",
    "layout",
]

FIRMWARE = "qboot.rom"
"""Comes with QEMU since 5.1. To the guest's first word: 0.1 s, SeaBIOS 3.8 s (KVM-PVM, 2-core AMD EPYC, 2026-11-22, n=1)."""


def kernel_path() -> Path:
    """The guest's ELF file, for ``-kernel``."""
    return Path(__file__).with_name("stress.elf")


def devices(console: str = "console") -> list[str]:
    """QEMU's arguments for source and destination alike: no default devices, COM1 on the character device ``console``."""
    return ["-nodefaults", "-no-user-config", "-display", "none", "-bios", FIRMWARE, "-serial", f"chardev:{console}"]


def boot(config: StressConfig, images: Sequence[Path], found: Callable[[Path], Path] = Path) -> list[str]:
    """QEMU's further arguments on the source: the kernel, and an image for each of ``layout(config).fill`` in its order.
    ``found``: where a file of ours is on the host that runs it.

    :raises UserError: as ``layout``. :raises ValueError: another number of images than there are ranges to fill.
    """
    arguments = ["-kernel", str(found(kernel_path())), "-append", command_line(config)]
    for part, image in zip(layout(config).fill, images, strict=True):
        arguments += ["-device", f"loader,file={option_value(found(image))},addr={part.start:#x},force-raw=on"]
    return arguments
