"""A small migration stream of known parts, as two QEMUs exchange one that have return-path on: where each of its phases lies."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.streams.memory import memory
from harness.streams.memory.pagegen import PAGE_BYTES
from harness.streams.memory.settings import PageClass
from harness.streams.memory.tokens import Bytes
from harness.wire.qemu import marks

_MACHINE = b"pc-i440fx-7.2"
_RAM = b"pc.ram"
_SECTION = 2
_OPEN_RETURN_PATH = 1
_PART_PAGES = 16
_MIX: Mapping[PageClass, float] = {"text": 0.3, "heap": 0.3, "random": 0.2, "zero": 0.2}


@dataclass(frozen=True, slots=True)
class CarriedStream:
    """``parts``: at which byte each begins, in their order: setup, first-pass, later-pass, last-pass, device-state."""

    data: bytes
    parts: Mapping[str, int]

    def part_at(self, byte: int) -> str:
        """The one in which a byte lies."""
        return [name for name, start in self.parts.items() if start <= byte][-1]


def make_stream(seed: int, pages: int = 192) -> CarriedStream:
    """Of a guest of so many pages, of which a third is sent again in a later pass, and a sixth in the last."""
    ram = np.concatenate(list(memory.generate(_MIX, pages, seed)))
    rng = np.random.default_rng(seed)
    data, parts = bytearray(_setup(pages)), {"setup": 0}

    def begin(name: str) -> None:
        parts[name] = len(data)

    begin("first-pass")
    for at in range(0, pages, _PART_PAGES):
        data.extend(_section(marks.PART, _records(ram, np.arange(at, min(pages, at + _PART_PAGES)), first=at == 0)))
    begin("later-pass")
    for _ in range(4):
        data.extend(_section(marks.PART, _records(ram, _dirtied(ram, rng, pages // 12), first=False)))
    begin("last-pass")
    data.extend(_section(marks.END, _records(ram, _dirtied(ram, rng, pages // 6), first=False)))
    begin("device-state")
    data.extend(_devices(rng))
    return CarriedStream(bytes(data), parts)


def _setup(pages: int) -> bytes:
    head = marks.MAGIC + struct.pack(">BI", marks.CONFIGURATION, len(_MACHINE)) + _MACHINE
    asked = struct.pack(">BHH", marks.COMMAND, _OPEN_RETURN_PATH, 0)
    start = struct.pack(">BIB3sII", marks.START, _SECTION, 3, b"ram", 0, 4)
    sizes = struct.pack(">Q", pages * PAGE_BYTES | marks.MEM_SIZE)
    block = struct.pack(">B", len(_RAM)) + _RAM + struct.pack(">Q", pages * PAGE_BYTES)
    return head + asked + start + sizes + block + _end_of_section()


def _end_of_section() -> bytes:
    return struct.pack(">QBI", marks.EOS, marks.FOOTER, _SECTION)


def _section(kind: int, records: Iterator[bytes]) -> bytes:
    return struct.pack(">BI", kind, _SECTION) + b"".join(records) + _end_of_section()


def _dirtied(ram: Bytes, rng: np.random.Generator, count: int) -> list[int]:
    """So many pages, with something new in each."""
    chosen = sorted(int(page) for page in rng.choice(len(ram), count, replace=False))
    ram[chosen, :64] = rng.integers(1, 256, (count, 64), dtype=np.uint8)
    return chosen


def _records(ram: Bytes, numbers: object, *, first: bool) -> Iterator[bytes]:
    for place, number in enumerate(np.asarray(numbers)):
        named = first and place == 0
        page = ram[number]
        flags = (marks.PAGE if page.any() else marks.ZERO) | (0 if named else marks.CONTINUE)
        name = struct.pack(">B", len(_RAM)) + _RAM if named else b""
        yield struct.pack(">Q", int(number) * PAGE_BYTES | flags) + name + (page.tobytes() if page.any() else b"\0")


def _devices(rng: np.random.Generator) -> bytes:
    parts = []
    for number in range(3):
        name = f"device-{number}".encode()
        head = struct.pack(">BIB", marks.FULL, _SECTION + 1 + number, len(name)) + name + struct.pack(">II", 0, 1)
        parts.append(head + rng.bytes(800) + struct.pack(">BI", marks.FOOTER, _SECTION + 1 + number))
    text = b'{"page_size": 4096, "devices": []}'
    return b"".join(parts) + bytes([marks.EOF]) + struct.pack(">BI", marks.VMDESCRIPTION, len(text)) + text
