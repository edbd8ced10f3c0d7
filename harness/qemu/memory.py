"""A guest's RAM and processors as both QEMUs get them: arguments, RAM blocks, and what QEMU says that it made. Knows no guest.

Every QEMU that runs a guest gets its memory from here. One block is called ``pc.ram``, as QEMU calls the one that it makes by
itself: a migration stream names blocks, so another side may have its RAM from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.errors import MissingError, QemuError
from harness.hosts import limits
from harness.qemu.qmp import Json, Qmp
from harness.units import MIB, format_bytes

Machine = Literal["pc", "q35"]
HIGH_START = 4 << 30
"""Where RAM goes on that has no room below the PCI hole."""
# QEMU's own split of RAM around the PCI hole: up to this size all of it is low; above, this much is.
_SPLIT = {"pc": (0xE0000000, 0xC0000000), "q35": (0xB0000000, 0x80000000)}
_BESIDE_BYTES = 256 * MIB
"""What two QEMUs, the pair and the pieces of memory that are compared take beside the guests."""


@dataclass(frozen=True, slots=True)
class Range:
    """Guest-physical memory from ``start``, ``bytes`` long."""

    start: int
    bytes: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A RAM block by QEMU's name; ``ranges``: where the guest sees it."""

    name: str
    bytes: int
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """``nodes``: of NUMA; each has a RAM block and an equal share of the processors, the first has one processor that is alone.

    ``prealloc``: QEMU touches every page before the guest runs. ``hugepage_bytes``: of the host's huge pages; None: usual ones.
    """

    bytes: int
    cpus: int = 1
    nodes: int = 1
    prealloc: bool = False
    hugepage_bytes: int | None = None
    machine: Machine = "pc"

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Where the guest sees its RAM."""
        limit, low_bytes = _SPLIT[self.machine]
        if self.bytes < limit:
            return (Range(0, self.bytes),)
        return (Range(0, low_bytes), Range(HIGH_START, self.bytes - low_bytes))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """In the order of their addresses."""
        size = self.bytes // self.nodes
        names = ["pc.ram"] if self.nodes == 1 else [f"ram-node{node}" for node in range(self.nodes)]
        return tuple(Block(name, size, tuple(self._seen(at * size, size))) for at, name in enumerate(names))

    def _seen(self, offset: int, size: int) -> Iterator[Range]:
        """The addresses of RAM from ``offset`` on: RAM is seen without gaps but for the PCI hole."""
        before = 0
        for part in self.ranges:
            first, end = max(offset, before), min(offset + size, before + part.bytes)
            if first < end:
                yield Range(part.start + first - before, end - first)
            before += part.bytes

    def arguments(self, threads: int = 1) -> list[str]:
        """QEMU's; ``threads`` of the host's touch the memory."""
        sockets = self.nodes if self.cpus > 1 else 1
        argv = ["-m", f"{self.bytes}B"]
        argv += ["-smp", f"{self.cpus},sockets={sockets},cores={self.cpus // sockets},threads=1"]
        for node, block in enumerate(self.blocks):
            argv += ["-object", self._object(block, threads)]
            argv += ["-machine", f"memory-backend={block.name}"] if self.nodes == 1 else self._node(node, block)
        return argv

    def _object(self, block: Block, threads: int) -> str:
        kind = "memory-backend-ram" if self.hugepage_bytes is None else "memory-backend-memfd"
        words = [kind, f"id={block.name}", f"size={block.bytes}"]
        if self.hugepage_bytes is not None:
            words += ["hugetlb=on", f"hugetlbsize={self.hugepage_bytes}"]
        if self.prealloc:
            words += ["prealloc=on", f"prealloc-threads={threads}"]
        return ",".join(words)

    def _node(self, node: int, block: Block) -> list[str]:
        share = self.cpus // self.nodes
        first, last = (node * share, node * share + share - 1) if share else (0, 0)
        cpus = f",cpus={first}-{last}" if share or not node else ""
        return ["-numa", f"node,nodeid={node},memdev={block.name}{cpus}"]

    def read_back(self, qmp: Qmp) -> str:
        """What QEMU made, in words. :raises QemuError: it is not what was asked for."""
        listed: Json = qmp.execute("query-memdev")
        asked = {block.name: (block.bytes, self.prealloc) for block in self.blocks}
        made = {entry["id"]: (entry["size"], entry["prealloc"]) for entry in listed if entry["id"] in asked}
        if made != asked:
            raise QemuError(
                f"{qmp.name}: RAM blocks (size, preallocated): asked for {asked}, QEMU made {made}; "
                "this QEMU does not apply it, so the run cannot carry its name"
            )
        how = "preallocated" if self.prealloc else "taken from the host when first touched"
        pages = "" if self.hugepage_bytes is None else f", in pages of {format_bytes(self.hugepage_bytes)}"
        return f"{', '.join(f'{block.name} {format_bytes(block.bytes)}' for block in self.blocks)}: {how}{pages}"

    def check_room(self, guests: int, kept_bytes: int = 0) -> None:
        """:raises MissingError: this host has not the memory for so many guests at once, and for what is kept of one."""
        if self.hugepage_bytes is not None:
            self._check_hugepages(guests, self.hugepage_bytes)
        elif self.prealloc:
            self._check_available(guests, kept_bytes)

    def _check_available(self, guests: int, kept_bytes: int) -> None:
        needed, available = guests * self.bytes + kept_bytes + _BESIDE_BYTES, limits.available_bytes()
        if needed > available:
            raise MissingError(
                f"guest.memory {format_bytes(self.bytes)}: {guests} guests and what runs beside them need "
                f"{format_bytes(needed)}, and {format_bytes(available)} are available (the least of MemAvailable and what "
                "control groups leave); free memory, give the guest less, or set prealloc = false for a guest that touches less"
            )

    def _check_hugepages(self, guests: int, page_bytes: int) -> None:
        size, needed = format_bytes(page_bytes).replace(" ", ""), guests * self.bytes // page_bytes
        pool = limits.hugepages(page_bytes)
        if pool is None:
            raise MissingError(
                f'guest.hugepages "{size}": this host has none of that size; write another size, or hugepages = false'
            )
        if needed > pool.free:
            total = pool.total + needed - pool.free
            remedy = f"as root: {limits.reserving(page_bytes, total)}"
            raise MissingError(
                f'guest.hugepages "{size}": {guests} guests of {format_bytes(self.bytes)} need {needed} pages, and '
                f"{pool.free} of {pool.total} reserved ones are free; {remedy}"
            )


def check_room(memory: GuestMemory, guests: int, kept_bytes: int = 0) -> None:
    """As ``GuestMemory.check_room``; what a host is asked."""
    memory.check_room(guests, kept_bytes)
