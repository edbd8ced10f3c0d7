"""Where everything of the stress guest is in guest-physical memory, and which of it may change while the guest runs.

Arithmetic only: starts nothing, reads nothing. ``src/`` is told the addresses on the command line; the few that it has
built in are held to this file by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import UserError
from harness.qemu.memory import HIGH_START, GuestMemory, Machine, Range
from harness.units import PAGE_BYTES, format_bytes

HEADER_BYTES = 16
"""Page and sequence number, checksum: at the head of each working-set page, before its changed bytes."""

FIRMWARE_HOLE = (0xA0000, 0x100000)
PRIVATE_START = 0x110000
TABLE_START = 0x200000
RESERVED_TOP_BYTES = 1 << 20
"""Firmware may keep tables just below the end of low RAM; the working set stays off them."""
MAPPED_END = 64 << 30


@dataclass(frozen=True, slots=True)
class StressConfig:
    """What the guest is and does. Each dirtied page changes ``HEADER_BYTES + changed_bytes_per_page`` bytes at its head."""

    memory_bytes: int = 512 << 20
    working_set_bytes: int = 64 << 20
    dirty_rate_bytes_per_s: int = 20 << 20
    pattern: Literal["sequential", "random"] = "sequential"
    changed_bytes_per_page: int = 64
    machine: Machine = "pc"

    @property
    def working_set_pages(self) -> int:
        """Whole pages."""
        return self.working_set_bytes // PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Layout:
    """Guest-physical ranges, in order.

    ``fill``: what the loader fills, one image each. ``working_set``: its pages change in their first
    ``page_changed_bytes`` bytes only; the rest keeps the fill. ``private``: what the guest changes for itself (data,
    stacks, page tables, the table of sequence numbers). ``compare``: what never changes once the guest is ready; so the
    host can compare ``compare``, and the tails of the working set's pages, byte for byte with the source's RAM.
    """

    ram: tuple[Range, ...]
    fill: tuple[Range, ...]
    working_set: tuple[Range, ...]
    private: tuple[Range, ...]
    compare: tuple[Range, ...]
    page_changed_bytes: int

    def ram_offset(self, address: int) -> int:
        """Where ``address`` is in QEMU's RAM block (one block holds both sides of the PCI hole). :raises ValueError: not RAM."""
        offset = 0
        for part in self.ram:
            if part.start <= address < part.end:
                return offset + address - part.start
            offset += part.bytes
        raise ValueError(f"address {address:#x} is not in the guest's RAM")


def layout(config: StressConfig) -> Layout:
    """The guest's memory map. :raises UserError: what does not fit or divide, with the value and what would."""
    _check(config)
    ram = GuestMemory(config.memory_bytes, machine=config.machine).ranges
    table = Range(TABLE_START, _whole_pages(4 * config.working_set_pages))
    working_set = _working_set(config, ram[0], table.end)
    private = (Range(PRIVATE_START, TABLE_START - PRIVATE_START), table)
    firmware = Range(FIRMWARE_HOLE[0], FIRMWARE_HOLE[1] - FIRMWARE_HOLE[0])
    return Layout(
        ram=ram,
        fill=(Range(TABLE_START, ram[0].bytes - TABLE_START), *ram[1:]),
        working_set=working_set,
        private=private,
        compare=_without(ram, (firmware, *private, *working_set)),
        page_changed_bytes=HEADER_BYTES + config.changed_bytes_per_page,
    )


def command_line(config: StressConfig) -> str:
    """The text for ``-append``. :raises UserError: as ``layout``."""
    where = layout(config)
    options = {
        "table": TABLE_START,
        "first": where.private[-1].end,
        "split": where.ram[0].end - RESERVED_TOP_BYTES,
        "pages": config.working_set_pages,
        "rate": config.dirty_rate_bytes_per_s,
        "changed": config.changed_bytes_per_page,
        "random": int(config.pattern == "random"),
    }
    return " ".join(f"{name}={value}" for name, value in options.items())


def _check(config: StressConfig) -> None:
    room = PAGE_BYTES - HEADER_BYTES
    if config.changed_bytes_per_page % 8 or not 0 <= config.changed_bytes_per_page <= room:
        raise UserError(
            f"guest.changed_bytes_per_page: {config.changed_bytes_per_page} is not a multiple of 8 from 0 to {room}"
        )
    if config.memory_bytes % TABLE_START or config.memory_bytes < 16 << 20:
        raise UserError(f"guest.memory: {config.memory_bytes} bytes is not a multiple of 2 MiB, 16 MiB or more")
    if config.memory_bytes > MAPPED_END - HIGH_START:
        raise UserError(
            f"guest.memory: {format_bytes(config.memory_bytes)} is more than the stress guest maps (60 GiB)"
        )
    if config.working_set_bytes % PAGE_BYTES or config.working_set_bytes <= 0:
        raise UserError(f"guest.working_set: {config.working_set_bytes} bytes is not a number of whole 4 KiB pages")
    if config.dirty_rate_bytes_per_s < 0:
        raise UserError(f"guest.dirty_rate: {config.dirty_rate_bytes_per_s} is below zero; 0 means an idle guest")


def _working_set(config: StressConfig, low: Range, start: int) -> tuple[Range, ...]:
    """Right behind the table; what does not fit below the PCI hole goes on at 4 GiB."""
    low_room = low.end - RESERVED_TOP_BYTES - start
    room = low_room + config.memory_bytes - low.bytes
    if config.working_set_bytes > room:
        raise UserError(
            f"guest.working_set: {format_bytes(config.working_set_bytes)} does not fit into "
            f"{format_bytes(config.memory_bytes)} of memory; {room // PAGE_BYTES * PAGE_BYTES} bytes would"
        )
    first = Range(start, min(config.working_set_bytes, low_room))
    rest = config.working_set_bytes - first.bytes
    return (first, Range(HIGH_START, rest)) if rest else (first,)


def _without(ranges: tuple[Range, ...], holes: tuple[Range, ...]) -> tuple[Range, ...]:
    left = []
    for part in ranges:
        at = part.start
        for hole in sorted(holes, key=lambda hole: hole.start):
            if part.start <= hole.start < part.end:
                if hole.start > at:
                    left.append(Range(at, hole.start - at))
                at = hole.end
        if at < part.end:
            left.append(Range(at, part.end - at))
    return tuple(left)


def _whole_pages(size: int) -> int:
    return -(-size // PAGE_BYTES) * PAGE_BYTES
