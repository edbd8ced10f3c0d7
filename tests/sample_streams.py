"""Small QEMU migration streams for tests: builders for every part of the format.

Written from the format alone; knows nothing of the harness. ``parse`` is ``stream_parser``'s slow reference.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence

from stream_parser import parse

__all__ = ["parse"]

PAGE = 4096
MAGIC = 0x5145564D

EOF, START, PART, END, FULL, SUBSECTION, VMDESCRIPTION, CONFIG, COMMAND, FOOTER = 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7E
ZERO, MEM_SIZE, RAW, EOS, CONTINUE = 2, 4, 8, 0x10, 0x20
XBZRLE, HOOK, COMPRESS, MULTIFD_FLUSH = 0x40, 0x80, 0x100, 0x200

OPEN_RETURN_PATH, PING, POSTCOPY_ADVISE, POSTCOPY_LISTEN, POSTCOPY_RUN, RAM_DISCARD, PACKAGED = 1, 2, 3, 4, 5, 6, 7

# ---------------------------------------------------------------------------------------------------------- builders


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


def u64(value: int) -> bytes:
    return struct.pack(">Q", value)


def idstr(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()


def header(version: int = 3) -> bytes:
    return u32(MAGIC) + u32(version)


def config(machine: str = "pc-i440fx-7.2", subsections: Iterable[bytes] = ()) -> bytes:
    return bytes([CONFIG]) + u32(len(machine)) + machine.encode() + b"".join(subsections)


def _subsection(name: str, payload: bytes) -> bytes:
    return bytes([SUBSECTION]) + idstr(name) + u32(1) + payload


def target_page_bits(bits: int) -> bytes:
    return _subsection("configuration/target-page-bits", u32(bits))


def capabilities(names: Sequence[str]) -> bytes:
    return _subsection("configuration/capabilities", u32(len(names)) + b"".join(idstr(name) for name in names))


def uuid(value: bytes = bytes(range(16))) -> bytes:
    return _subsection("configuration/uuid", value)


def _record(flag: int, addr: int, payload: bytes, block: str | None) -> bytes:
    word = addr | flag | (CONTINUE if block is None else 0)
    return u64(word) + (b"" if block is None else idstr(block)) + payload


def raw_page(addr: int, data: bytes, block: str | None = None) -> bytes:
    """A PAGE record; ``block=None`` continues the block of the page record before."""
    return _record(RAW, addr, data, block)


def zero_page(addr: int, fill: int = 0, block: str | None = None) -> bytes:
    return _record(ZERO, addr, bytes([fill]), block)


def xbzrle_page(addr: int, encoded: bytes, block: str | None = None) -> bytes:
    return _record(XBZRLE, addr, b"\x01" + struct.pack(">H", len(encoded)) + encoded, block)


def compress_page(addr: int, packed: bytes, block: str | None = None) -> bytes:
    return _record(COMPRESS, addr, u32(len(packed)) + packed, block)


def hook(flags: int = 0) -> bytes:
    return u64(HOOK | flags)


def eos() -> bytes:
    return u64(EOS)


def footer(section_id: int) -> bytes:
    return bytes([FOOTER]) + u32(section_id)


def mem_size(
    blocks: Sequence[tuple[str, int]],
    *,
    page_sizes: Mapping[str, int] | None = None,
    ignore_shared: bool = False,
    address: int = 0xFEED000,
) -> bytes:
    """The MEM_SIZE record. ``page_sizes``: the u64 of blocks on huge pages when postcopy is on. ``address``: each block's."""
    parts = [u64(sum(length for _, length in blocks) | MEM_SIZE)]
    for name, length in blocks:
        parts += [idstr(name), u64(length)]
        if page_sizes and name in page_sizes:
            parts.append(u64(page_sizes[name]))
        if ignore_shared:
            parts.append(u64(address))
    return b"".join(parts)


def section(
    kind: int, section_id: int, name: str, data: bytes, *, instance_id: int = 0, version_id: int = 1, foot: bool = True
) -> bytes:
    """A START or FULL section with any content."""
    head = bytes([kind]) + u32(section_id) + idstr(name) + u32(instance_id) + u32(version_id)
    return head + data + (footer(section_id) if foot else b"")


def start_ram(blocks: Sequence[tuple[str, int]], section_id: int = 2, *, foot: bool = True, **sizes: object) -> bytes:
    """The START section of ram: MEM_SIZE of ``(name, used_length)`` pairs, EOS, footer."""
    data = mem_size(blocks, **sizes) + eos()  # type: ignore[arg-type]
    return section(START, section_id, "ram", data, version_id=4, foot=foot)


def part(*records: bytes, section_id: int = 2, foot: bool = True) -> bytes:
    """A PART section of ram: the records, EOS, footer."""
    return bytes([PART]) + u32(section_id) + b"".join(records) + eos() + (footer(section_id) if foot else b"")


def end(*records: bytes, section_id: int = 2, foot: bool = True) -> bytes:
    """The END section of ram: the records, EOS, footer."""
    return bytes([END]) + u32(section_id) + b"".join(records) + eos() + (footer(section_id) if foot else b"")


def full_section(section_id: int, name: str, data: bytes, *, instance_id: int = 0, version_id: int = 1) -> bytes:
    """Device state: content without a length that only QEMU understands."""
    return section(FULL, section_id, name, data, instance_id=instance_id, version_id=version_id)


def command(number: int, payload: bytes = b"") -> bytes:
    return bytes([COMMAND]) + struct.pack(">HH", number, len(payload)) + payload


def ping(value: int = 1) -> bytes:
    return command(PING, u32(value))


def packaged(inner: bytes) -> bytes:
    """CMD_PACKAGED: its own payload is a length, and so many bytes follow behind the command."""
    return command(PACKAGED, u32(len(inner))) + inner


def eof() -> bytes:
    return bytes([EOF])


def vmdescription(description: object = None) -> bytes:
    text = json.dumps({"page_size": PAGE, "devices": []} if description is None else description).encode()
    return bytes([VMDESCRIPTION]) + u32(len(text)) + text


def device_state(rng: random.Random, count: int = 6) -> bytes:
    """Some FULL sections of incompressible content, which may look like anything."""
    return b"".join(full_section(10 + i, f"dev{i}", rng.randbytes(rng.randrange(5, 3000))) for i in range(count))


def random_page(rng: random.Random) -> bytes:
    """A page that is random, sparse, or text-like."""
    return rng.choice(
        (
            lambda: rng.randbytes(PAGE),
            lambda: bytes(PAGE - 64) + rng.randbytes(64),
            lambda: (b"key=%d;" % rng.randrange(10**6) * PAGE)[:PAGE],
        )
    )()


def random_record(rng: random.Random, addr: int, block: str | None) -> bytes:
    """A page record of any kind."""
    kind = rng.randrange(10)
    if kind < 5:
        return raw_page(addr, random_page(rng), block)
    if kind < 8:
        return zero_page(addr, 0, block)
    if kind == 8:
        return xbzrle_page(addr, rng.randbytes(rng.randrange(1, 900)), block)
    return compress_page(addr, zlib.compress(random_page(rng), 1), block)


def random_records(rng: random.Random, blocks: Sequence[tuple[str, int]], count: int, *, named: bool) -> list[bytes]:
    """Page records of runs and alternations over the blocks; ``named``: the first one must carry its block's name."""
    records: list[bytes] = []
    block, pages = blocks[0][0], blocks[0][1] // PAGE
    fresh = named
    while len(records) < count:
        if rng.random() < 0.1:
            block, length = rng.choice(blocks)
            pages, fresh = length // PAGE, True
        run = rng.choice((1, 1, 2, 5, 20))
        same = rng.random() < 0.5
        zero = rng.random() < 0.5
        for _ in range(run):
            addr = rng.randrange(pages) * PAGE
            name = block if fresh else None
            fresh = False
            if not same:
                records.append(random_record(rng, addr, name))
            elif zero:
                records.append(zero_page(addr, 0, name))
            else:
                records.append(raw_page(addr, random_page(rng), name))
    return records[:count]


def small_stream(seed: int = 1, sections: int = 6, records: int = 40) -> bytes:
    """A whole migration of a few hundred pages that mixes every record kind. The same seed gives the same bytes."""
    rng = random.Random(seed)
    blocks = [("pc.ram", 1024 * PAGE), ("vga.vram", 64 * PAGE), ("pc.bios", 16 * PAGE)]
    subsections = [capabilities(["xbzrle", "compress"]), uuid()][: rng.randrange(3)]
    out = [header(), config(subsections=subsections)]
    if rng.random() < 0.5:
        out += [command(OPEN_RETURN_PATH), ping(1)]
    out.append(start_ram(blocks))
    for number in range(sections):
        if rng.random() < 0.2:
            out.append(ping(number))
        # CONTINUE spans sections, so only the first record of all needs its block's name.
        out.append(part(*random_records(rng, blocks, rng.randrange(records + 1) + (number == 0), named=number == 0)))
    out.append(end(*random_records(rng, blocks, 5, named=False)))
    out += [device_state(rng), eof(), vmdescription()]
    return b"".join(out)


def rewritten_stream(rng: random.Random, pages: int, passes: int, changed: int) -> bytes:
    """Passes over the same pages; in each, ``changed`` bytes of a page are new, and some pages are equal to others."""
    content = [bytearray(rng.randbytes(PAGE)) for _ in range(pages)]
    out = [header(), config(), start_ram([("pc.ram", 4 * pages * PAGE), ("vga", pages * PAGE)])]
    first = True
    for _ in range(passes):
        records = []
        for number in rng.sample(range(pages), rng.randrange(pages // 2, pages + 1)):
            if rng.random() < 0.1:
                content[number][:] = content[rng.randrange(pages)]
            else:
                at = rng.randrange(PAGE - changed)
                content[number][at : at + changed] = rng.randbytes(changed)
            block = "pc.ram" if first else rng.choice((None, None, None, "pc.ram", "vga"))
            records.append(raw_page(number * PAGE, bytes(content[number]), block))
            first = False
            if rng.random() < 0.1:
                records.append(zero_page(rng.randrange(pages) * PAGE))
        out.append(part(*records))
    return b"".join([*out, end(), eof(), vmdescription()])
