"""A QEMU's RAM blocks by name, and their contents as the process has them. Changes nothing, and knows no guest.

Reads /proc/PID/mem, which Linux allows for one's own children: no copy is made by QEMU, no file is written, and memory need not be
of a kind that is shared. QEMU from 8.1 on says where each block lies in its process. Older ones say it of an address of the
guest's, so a block that the guest sees nothing of, such as a ROM that is only loaded, stays unknown there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.errors import QemuError
from harness.hosts.files import DIGEST_BYTES, page_digests, read_part
from harness.qemu.process import QemuProcess
from harness.qemu.qmp import Json, Qmp
from harness.units import PAGE_BYTES

# Name, page size, offset, bytes in use, bytes in all, and since 8.1 the address: "pc.ram 4 KiB 0x0 0x8000000 0x8000000 0x7f2d5000"
_BLOCK = re.compile(r"\s*(\S+)\s+\d+ [KMG]iB\s+0x[0-9a-f]+ 0x([0-9a-f]+) 0x[0-9a-f]+(?: 0x([0-9a-f]+))?")
# What a range of addresses shows, and from which offset on: "00c0000-00c3fff (prio 0, ram): pc.ram @00c0000".
_SEEN = re.compile(r"\s+([0-9a-f]{16})-[0-9a-f]{16} \(prio -?\d+, (?:ram|rom|romd)\): (\S+)(?: @([0-9a-f]+))?")
_HOST = re.compile(r"Host virtual address for .* is 0x([0-9a-f]+)")


class Range(Protocol):
    """A part of a block from ``start`` on, ``bytes`` long; whole pages."""

    @property
    def start(self) -> int:
        """The first byte."""

    @property
    def bytes(self) -> int:
        """How many."""


@dataclass(frozen=True, slots=True)
class RamBlock:
    """``bytes``: in use. ``address``: where it begins in the QEMU's process; None: QEMU does not say."""

    name: str
    bytes: int
    address: int | None


def ram_blocks(qmp: Qmp) -> tuple[RamBlock, ...]:
    """All that a migration carries, in QEMU's order. :raises QemuError: QEMU lists none."""
    found = [match for line in _ask(qmp, "info ramblock") if (match := _BLOCK.match(line))]
    if not found:
        raise QemuError(f"{qmp.name}: QEMU does not list its RAM blocks (info ramblock)")
    told = {name: int(at, 16) for name, _, at in (match.groups() for match in found) if at}
    begins = told or dict(_seen_by_the_guest(qmp))
    return tuple(RamBlock(name, int(used, 16), _begin(begins, name)) for name, used, _ in (m.groups() for m in found))


class RamView:
    """``block`` of a QEMU that has said where it is, as its host reads it."""

    def __init__(self, qemu: QemuProcess, block: RamBlock) -> None:
        assert block.address is not None, block.name  # noqa: S101
        self._qemu = qemu
        self._name, self._begin = block.name, block.address
        self._path = Path(f"/proc/{qemu.pid}/mem")

    def digests(self, piece: Range) -> bytes:
        """Of each page. :raises QemuError: they cannot be read."""
        host, begin = self._qemu.host, self._begin + piece.start
        with self._told():
            found = host.call(page_digests, self._path, begin, piece.bytes, 0)
        return self._whole(found, piece.bytes // PAGE_BYTES * DIGEST_BYTES)

    def read(self, start: int, size: int) -> bytes:
        """:raises QemuError: it cannot be read."""
        with self._told():
            found = self._qemu.host.call(read_part, self._path, self._begin + start, size)
        return self._whole(found, size)

    def _whole(self, found: bytes, size: int) -> bytes:
        if len(found) != size:
            raise QemuError(f"{self._qemu.name}: {self._path}: not all of {self._name} could be read")
        return found

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise QemuError(
                f"{self._qemu.name}: {self._path}: {self._name} cannot be read: {exc.strerror}; allow us to trace our own "
                "children (sysctl kernel.yama.ptrace_scope=1), or write verify = false"
            ) from exc


def _ask(qmp: Qmp, command: str) -> list[str]:
    arguments: dict[str, Json] = {"command-line": command}
    text: str = qmp.execute("human-monitor-command", **arguments)
    return text.splitlines()


def _seen_by_the_guest(qmp: Qmp) -> Iterator[tuple[str, int]]:
    """Name of a region of memory -> where its block begins, of those of which the guest's processor sees a part."""
    parts = {match[2]: match for line in _ask(qmp, "info mtree -f") if (match := _SEEN.match(line))}
    for name, match in parts.items():
        (line, *_) = _ask(qmp, f"gpa2hva {int(match[1], 16):#x}")
        if (host := _HOST.match(line)) is not None:
            yield name, int(host[1], 16) - int(match[3] or "0", 16)


def _begin(begins: dict[str, int], name: str) -> int | None:
    """A block of a device has the device's path before the region's name: 0000:00:02.0/vga.vram."""
    return begins.get(name, begins.get(name.rpartition("/")[2]))
