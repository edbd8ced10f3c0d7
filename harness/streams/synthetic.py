"""Makes a precopy stream as QEMU 7.2 sends one, without QEMU: for machines that have none, and for equal work in every run.

The guest's RAM is ``memory.generate``'s. Passes are those of a guest that dirties its working set at a steady rate while
the stream crosses a 1 Gbit/s link: fixed by the arguments, never by this machine's speed. The same arguments give the
same bytes everywhere. Knows nothing of links or methods.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import xxhash

from harness.errors import UserError
from harness.streams.memory import memory
from harness.streams.memory.pagegen import PAGE_BYTES
from harness.streams.memory.settings import PageClass
from harness.streams.memory.tokens import Bytes, Raw
from harness.streams.streamfile import StreamFile, keep_stream, open_stream
from harness.wire.qemu import marks

STREAM_VERSION = 1
"""Raised whenever the same arguments give other bytes; cached streams of another version are not used."""

_LINK_BYTES_PER_S = 125_000_000
_DOWNTIME_LIMIT_S = 0.3
_MAX_PASSES = 30
_PART_PAGES = 2048
_MACHINE = b"pc-i440fx-7.2"
_RAM = "pc.ram"
# What a captured stream of a "pc" has beside its RAM, with the pages that were not zero there (rounded).
_OTHER_BLOCKS = (
    ("0000:00:02.0/vga.vram", 16 << 20, 0),
    ("/rom@etc/acpi/tables", 128 << 10, 32),
    ("pc.bios", 256 << 10, 60),
    ("0000:00:03.0/e1000.rom", 256 << 10, 48),
    ("pc.rom", 128 << 10, 8),
    ("0000:00:02.0/vga.rom", 64 << 10, 9),
    ("/rom@etc/table-loader", 4096, 1),
    ("/rom@etc/acpi/rsdp", 4096, 1),
)
_RAM_SECTION = 2
_DEVICES = 28
_DEVICE_WORDS = 700
_FIRST_KEY = 200  # of the random numbers that are ours and not memory's


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What the stream is of; the fields are those of a scenario's guest."""

    memory_bytes: int
    fill: Mapping[PageClass, float]
    seed: int = 1
    working_set_bytes: int = 64 << 20
    dirty_rate_bytes_per_s: int = 20 << 20
    pattern: str = "sequential"
    changed_bytes_per_page: int = 64

    @property
    def ram_pages(self) -> int:
        """Pages of the guest's RAM."""
        return self.memory_bytes // PAGE_BYTES

    @property
    def working_set_pages(self) -> int:
        """The working set, which is the end of RAM."""
        return min(self.working_set_bytes // PAGE_BYTES, self.ram_pages)


def synthetic_stream(spec: StreamSpec, cache_dir: Path) -> StreamFile:
    """The stream in ``cache_dir``, made on the first request. Processes may ask at the same time.

    :raises UserError: an impossible mix or size. :raises MissingError: no room or no access.
    """
    fields = asdict(spec) | {"fill": {name: share for name, share in sorted(spec.fill.items()) if share}}
    key = json.dumps([STREAM_VERSION, memory.GENERATOR_VERSION, fields], sort_keys=True).encode()
    path = cache_dir / f"synthetic-{hashlib.sha256(key).hexdigest()[:20]}.stream"
    if path.exists():
        return open_stream(path)
    words = {"machine": _MACHINE.decode(), "origin": "synthetic"}
    return keep_stream(path, lambda file: write_stream(spec, file), stream_bytes=spec.memory_bytes, **words)


def write_stream(spec: StreamSpec, file: IO[bytes]) -> str:
    """Write the stream to ``file``; its digest. :raises UserError: an impossible mix or size."""
    digest = xxhash.xxh3_128()
    for piece in _stream(spec):
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def passes_of(spec: StreamSpec) -> list[int]:
    """How many pages each pass after the first sends: what was dirtied while the pass before crossed the link.

    As in QEMU, the last one is sent with the guest stopped: it fits into the downtime limit.
    """
    pages, working_set = spec.ram_pages * (1 - spec.fill.get("zero", 0)), spec.working_set_pages
    passes: list[int] = []
    while len(passes) < _MAX_PASSES:
        seconds = pages * PAGE_BYTES / _LINK_BYTES_PER_S
        pages = min(working_set, int(spec.dirty_rate_bytes_per_s * seconds) // PAGE_BYTES)
        passes.append(int(pages))
        if pages * PAGE_BYTES <= _DOWNTIME_LIMIT_S * _LINK_BYTES_PER_S:
            break
    return passes


def _stream(spec: StreamSpec) -> Iterator[bytes | memoryview]:
    if spec.memory_bytes <= 0 or spec.memory_bytes % PAGE_BYTES:
        raise UserError(f"guest.memory: {spec.memory_bytes} bytes are not a number of whole 4 KiB pages")
    yield marks.MAGIC + bytes([marks.CONFIGURATION]) + struct.pack(">I", len(_MACHINE)) + _MACHINE
    yield _section_start([(_RAM, spec.memory_bytes), *((name, size) for name, size, _ in _OTHER_BLOCKS)])
    writer = _RecordWriter()
    working_set = np.zeros((spec.working_set_pages, PAGE_BYTES), dtype=np.uint8)
    first = spec.ram_pages - spec.working_set_pages
    at = 0
    for chunk in memory.generate(spec.fill, spec.ram_pages, spec.seed):
        yield from writer.part(_RAM, at + np.arange(len(chunk)), chunk)
        inside = max(0, first - at)
        working_set[max(0, at - first) : max(0, at + len(chunk) - first)] = chunk[inside:]
        at += len(chunk)
    for name, size, used in _OTHER_BLOCKS:
        yield from writer.part(name, np.arange(size // PAGE_BYTES), _rom(spec.seed, name, size, used))
    *before, last = passes_of(spec)
    guest = _DirtyGuest(spec, working_set)
    for count in before:
        for where, pages in guest.dirty(count):
            yield from writer.part(_RAM, first + where, pages)
    final = list(guest.dirty(last))
    yield bytes([marks.END]) + struct.pack(">I", _RAM_SECTION)
    for where, pages in final:
        yield from writer.records(_RAM, first + where, pages)
    yield _section_end()
    yield _device_state(spec.seed)


class _DirtyGuest:
    """Writes to its working set, and hands out the pages that it changed, in the order of their addresses."""

    def __init__(self, spec: StreamSpec, pages: Bytes) -> None:
        self._spec = spec
        self._pages = pages
        self._next = 0
        self._pass = 0

    def dirty(self, count: int) -> Iterator[tuple[npt.NDArray[np.int64], Bytes]]:
        """Change ``count`` pages; their places in the working set and contents, in pieces of one PART section."""
        self._pass += 1
        total = len(self._pages)
        random = Raw(self._spec.seed, _FIRST_KEY + self._pass)
        if self._spec.pattern == "sequential":
            places = np.sort((self._next + np.arange(count)) % total) if count else np.empty(0, dtype=np.int64)
            self._next = (self._next + count) % total if total else 0
        else:
            places = np.sort(np.argsort(random.words(total), kind="stable")[:count])
        for start in range(0, count, _PART_PAGES):
            here = places[start : start + _PART_PAGES]
            if changed := self._spec.changed_bytes_per_page:
                fresh = random.words(len(here) * -(-changed // 8)).view(np.uint8).reshape(len(here), -1)
                self._pages[here, :changed] = fresh[:, :changed]
            yield here, self._pages[here]


class _RecordWriter:
    """Page records, with the rule that only the first record of another block carries its name."""

    def __init__(self) -> None:
        self._block: str | None = None

    def part(self, block: str, numbers: npt.NDArray[np.int64], pages: Bytes) -> Iterator[bytes | memoryview]:
        """PART sections with these pages."""
        for start in range(0, len(pages), _PART_PAGES):
            yield bytes([marks.PART]) + struct.pack(">I", _RAM_SECTION)
            yield from self.records(block, numbers[start : start + _PART_PAGES], pages[start : start + _PART_PAGES])
            yield _section_end()

    def records(self, block: str, numbers: npt.NDArray[np.int64], pages: Bytes) -> Iterator[bytes | memoryview]:
        """Records alone: 9 bytes for a zero page, 8 + 4096 for another. Runs of either are written in one go."""
        if not len(pages):
            return
        used = np.asarray(pages.view(np.uint64).any(axis=1))
        if block != self._block:
            self._block = block
            word = int(numbers[0]) * PAGE_BYTES | (marks.PAGE if used[0] else marks.ZERO)
            yield struct.pack(">QB", word, len(block)) + block.encode() + (pages[0].tobytes() if used[0] else b"\0")
            numbers, pages, used = numbers[1:], pages[1:], used[1:]
        yield _continued(numbers, pages, used)


def _continued(numbers: npt.NDArray[np.int64], pages: Bytes, used: npt.NDArray[np.bool_]) -> memoryview:
    kinds = np.where(used, marks.PAGE | marks.CONTINUE, marks.ZERO | marks.CONTINUE)
    words = (numbers * PAGE_BYTES | kinds).astype(">u8").view(np.uint8).reshape(-1, 8)
    out = np.zeros(int(used.sum()) * (8 + PAGE_BYTES) + int((~used).sum()) * 9, dtype=np.uint8)
    borders = [0, *(np.flatnonzero(np.diff(used)) + 1).tolist(), len(used)]
    at = 0
    for start, stop in itertools.pairwise(borders):
        if start == stop:
            continue
        stride = 8 + PAGE_BYTES if used[start] else 9
        run = out[at : at + (stop - start) * stride].reshape(-1, stride)
        run[:, :8] = words[start:stop]
        if used[start]:
            run[:, 8:] = pages[start:stop]
        at += run.size
    return memoryview(out.data)


def _section_start(blocks: list[tuple[str, int]]) -> bytes:
    head = struct.pack(">BIB3sII", marks.START, _RAM_SECTION, 3, b"ram", 0, 4)
    total = struct.pack(">Q", sum(size for _, size in blocks) | marks.MEM_SIZE)
    names = b"".join(struct.pack(">B", len(name)) + name.encode() + struct.pack(">Q", size) for name, size in blocks)
    return head + total + names + _section_end()


def _section_end() -> bytes:
    return struct.pack(">QBI", marks.EOS, marks.FOOTER, _RAM_SECTION)


def _rom(seed: int, name: str, size: int, used: int) -> Bytes:
    """A block whose last ``used`` pages are code, as a BIOS lies at the end of its ROM."""
    pages = np.zeros((size // PAGE_BYTES, PAGE_BYTES), dtype=np.uint8)
    if used:
        whole = memory.generate({"code": 1.0}, used, seed + len(name))
        pages[-used:] = np.concatenate(list(whole))
    return pages


def _device_state(seed: int) -> bytes:
    """About 160 KB, mostly zeros as registers are: sections that only QEMU understands, EOF, and the description."""
    parts = []
    for number in range(_DEVICES):
        name = f"device-{number:02d}".encode()
        words = Raw(seed, _FIRST_KEY - 1 - number).words(_DEVICE_WORDS)
        content = np.where(words % 4 == 0, words, 0).astype(">u8").tobytes()
        section_id = _RAM_SECTION + 1 + number
        head = struct.pack(">BIB", marks.FULL, section_id, len(name)) + name + struct.pack(">II", 0, 1)
        parts.append(head + content + struct.pack(">BI", marks.FOOTER, section_id))
    described = [
        {"name": f"device-{n:02d}", "instance_id": 0, "vmsd_name": "device", "version": 1} for n in range(_DEVICES)
    ]
    text = json.dumps({"page_size": PAGE_BYTES, "devices": described}).encode()
    return b"".join(parts) + b"\0" + struct.pack(">BI", marks.VMDESCRIPTION, len(text)) + text
