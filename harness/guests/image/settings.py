"""What a scenario says of the user's own guest: its files, and how to see that it is ready and goes on working."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.guests.qemu_settings import QemuSettings
from harness.scenario.fault import Fault, shown
from harness.scenario.part import Part, Seconds
from harness.units import format_bytes

# How a kernel may find an initrd packed, and cpio itself; Linux, lib/decompress.c and usr/gen_init_cpio.c.
_INITRDS = (
    *(b"070701", b"070702", b"\x1f\x8b", b"BZh", b"\x5d\x00\x00", b"\xfd7zXZ\x00", b"\x89LZO", b"\x02\x21\x4c\x18"),
    b"\x28\xb5\x2f\xfd",
)
# The header of a bzImage: Linux, Documentation/arch/x86/boot.rst. From 2.10 on it says where the kernel wants to be, and how much
# it takes there before it looks at what memory there is.
_BZIMAGE_AT, _BZIMAGE = 0x202, b"HdrS"
_VERSION_AT, _VERSION_WITH_SIZE = 0x206, 0x020A
_PLACE_AT, _PLACE = 0x258, struct.Struct("<QI")


class ReadySettings(Part):
    """How to see that the guest does what it is there for: exactly one of serial, tcp and agent."""

    serial: str | None = None
    """A regular expression for what it then says on its serial console, in a line or a prompt: "login:"."""
    tcp: int | None = Field(default=None, ge=1, le=65535)
    """A port on which it then accepts connections. It gets a network card, of which a free loopback port leads to this one."""
    agent: str | None = None
    """A command that its QEMU guest agent then answers, such as "guest-ping"."""
    timeout_s: Seconds = Field(default=60.0, alias="timeout")
    """How long it may take."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("serial", "tcp", "agent") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise Fault((), f"{found}: write exactly one of serial, tcp and agent")
        if self.serial is not None:
            _compiled(self.serial)
        return self


class ProgressSettings(Part):
    """A line that the guest says again and again while it works: its heartbeat."""

    serial: str
    """A regular expression for such a line on its serial console; its first group is a number, such as a count of work done.
    Of how that grows before, during and after a migration a result says how much work the guest lost."""

    @model_validator(mode="after")
    def _with_a_group(self) -> Self:
        if not _compiled(self.serial).groups:
            raise Fault(("serial",), rf'{shown(self.serial)}: has no group: write for example "requests: (\\d+)"')
        return self


class ImageSettings(QemuSettings):
    """A kernel, a disk, or both."""

    kind: Literal["image"] = "image"
    kernel: str | None = None
    """A Linux kernel, or an ELF file with a PVH entry; in a scenario relative to the scenario's own file, as are all files."""
    initrd: str | None = None
    """Its initial RAM disk."""
    append: str = ""
    """Its command line; Linux talks on the serial console with "console=ttyS0"."""
    disk: str | None = None
    """A disk image of any format that qemu-img knows. It is never written to: each run has an overlay of its own."""
    arguments: tuple[str, ...] = Field(default=(), strict=False)
    """More arguments for both QEMUs, each a text of its own: ["-device", "virtio-rng-pci"]."""
    verify: bool = True
    """Whether all memory is compared after each migration. For that the destination's guest is held before it goes on, which no
    figure counts; without it the guest goes on at once, and whether its memory arrived is not known."""
    ready: ReadySettings
    """How to see that it is ready to be migrated."""
    progress: ProgressSettings | None = None
    """How to see that it works, before and after."""

    @model_validator(mode="after")
    def _something_to_boot(self) -> Self:
        if self.kernel is None and self.disk is None:
            raise Fault((), "nothing to boot: write kernel or disk")
        for name in ("initrd", "append"):
            if getattr(self, name) and self.kernel is None:
                raise Fault((name,), f"{shown(getattr(self, name))}: is for a kernel: write kernel, or leave it out")
        return self

    def located(self, folder_of: Callable[[str], Path]) -> Self:
        """Files that can be read now, rather than found missing when the first guest starts."""
        found: dict[str, Path] = {}
        for name in ("kernel", "initrd", "disk"):
            given = getattr(self, name)
            if given is not None:
                found[name] = _readable(name, folder_of(name) / given)
        for name, check in (("kernel", _check_kernel), ("initrd", _check_initrd)):
            if name in found:
                check(found[name])
        self._check_memory(found)
        return self.model_copy(update={name: str(path) for name, path in found.items()})

    def _check_memory(self, found: Mapping[str, Path]) -> None:
        """Of what a guest needs, that much is known."""
        needs = [_unpacked_bytes(found["kernel"])] if "kernel" in found else []
        needs += [found["initrd"].stat().st_size] if "initrd" in found else []
        least = sum(needs)
        if least >= self.memory_bytes:
            reason = f"too little for kernel and initrd, which take {format_bytes(least)} to start"
            raise Fault(("memory",), f"{format_bytes(self.memory_bytes)}: {reason}: write more")


def is_linux(kernel: Path) -> bool:
    """Whether it is a Linux kernel as distributions pack it."""
    return _head(kernel, _BZIMAGE_AT + len(_BZIMAGE))[_BZIMAGE_AT:] == _BZIMAGE


def _unpacked_bytes(kernel: Path) -> int:
    """Memory from its beginning on that it takes to start; of what does not say, its size."""
    head = _head(kernel, _PLACE_AT + _PLACE.size)
    if not is_linux(kernel) or int.from_bytes(head[_VERSION_AT : _VERSION_AT + 2], "little") < _VERSION_WITH_SIZE:
        return kernel.stat().st_size
    place: int
    size: int
    place, size = _PLACE.unpack_from(head, _PLACE_AT)
    return place + size


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise Fault(("serial",), f"{shown(pattern)}: not a regular expression: {exc}") from exc


def _readable(name: str, path: Path) -> Path:
    if not path.is_file():
        reason = "is not a file" if path.exists() else "there is no such file"
        raise Fault((name,), f"{shown(path)}: {reason}: write the path of one that is there")
    if not os.access(path, os.R_OK):
        raise Fault((name,), f"{shown(path)}: may not be read: check its permissions")
    return path


def _check_kernel(path: Path) -> None:
    if not (_head(path, 4) == b"\x7fELF" or is_linux(path)):
        reason = "is no kernel: neither a Linux bzImage nor an ELF file"
        raise Fault(("kernel",), f"{shown(path)}: {reason}: Linux's is called vmlinuz, and is in /boot")


def _check_initrd(path: Path) -> None:
    if not _head(path, max(map(len, _INITRDS))).startswith(_INITRDS):
        reason = "is no initrd: it begins neither as a cpio archive does nor as a packed one"
        raise Fault(("initrd",), f"{shown(path)}: {reason}: make one with cpio -o -H newc")


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
