"""A slow reference parser of QEMU's migration stream, for tests: one record at a time, one field at a time.

Written from the format alone, so that it shares no cleverness (and no mistake) with ``harness.wire.qemu.stream``. Knows
nothing of the harness. ``streams.parse`` is this module's.
"""

from __future__ import annotations

PAGE = 4096
MAGIC = 0x5145564D

START, PART, END, SUBSECTION, CONFIG, COMMAND, FOOTER = 1, 2, 3, 5, 7, 8, 0x7E
ZERO, MEM_SIZE, RAW, EOS, CONTINUE = 2, 4, 8, 0x10, 0x20
XBZRLE, COMPRESS, MULTIFD_FLUSH = 0x40, 0x100, 0x200
PACKAGED = 7

Item = tuple[str, int, int]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items: list[Item] = []

    def number(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise ValueError(f"stream ends inside a field at byte {self.at}")
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "big")

    def skip(self, size: int) -> None:
        if self.at + size > len(self.data):
            raise ValueError(f"stream ends inside {size} bytes at byte {self.at}")
        self.at += size

    def name(self) -> str:
        length = self.number(1)
        self.skip(length)
        return self.data[self.at - length : self.at].decode()

    def done(self, kind: str, start: int) -> None:
        self.items.append((kind, start, self.at - start))


def parse(data: bytes, *, page_size: int = PAGE) -> list[Item]:
    """``(kind, offset, length)`` of every part, without gaps, in order.

    Kinds: header, config, command, packaged (the bytes behind a PACKAGED command), start, part, end (heads of ram's
    sections), mem_size, page, zero, xbzrle, compress, flush, eos, footer, and ``tail``: all that stands behind the END
    of ram, or from the first thing on that cannot be parsed without knowing its device.

    :raises ValueError: the stream ends inside a part.
    """
    reader = _Reader(data)
    if reader.number(4) != MAGIC:
        raise ValueError("no QEVM magic")
    reader.number(4)
    reader.done("header", 0)
    ram: int | None = None
    while reader.at < len(data):
        start = reader.at
        kind = reader.number(1)
        if kind == CONFIG:
            page_size = _config(reader, start, page_size)
        elif kind == COMMAND:
            _command(reader, start)
        elif kind == START and (section_id := _start(reader, start)) is not None:
            ram = section_id
            if not _section(reader, ram, page_size):
                break
        elif kind in (PART, END) and reader.number(4) == ram:
            reader.done("part" if kind == PART else "end", start)
            if not _section(reader, ram, page_size) or kind == END:
                break
        else:
            reader.at = start
            break
    if reader.at < len(data):
        start, reader.at = reader.at, len(data)
        reader.done("tail", start)
    return reader.items


def _config(reader: _Reader, start: int, page_size: int) -> int:
    reader.skip(reader.number(4))
    while reader.data[reader.at] == SUBSECTION:
        reader.number(1)
        name = reader.name()
        reader.number(4)
        if name == "configuration/target-page-bits":
            page_size = 1 << reader.number(4)
        elif name == "configuration/capabilities":
            for _ in range(reader.number(4)):
                reader.name()
        else:
            reader.skip(16)
    reader.done("config", start)
    return page_size


def _command(reader: _Reader, start: int) -> None:
    number = reader.number(2)
    length = reader.number(2)
    if number == PACKAGED:
        size = reader.number(4)
        reader.done("command", start)
        start = reader.at
        reader.skip(size)
        reader.done("packaged", start)
    else:
        reader.skip(length)
        reader.done("command", start)


def _start(reader: _Reader, start: int) -> int | None:
    section_id = reader.number(4)
    name = reader.name()
    reader.number(4)
    reader.number(4)
    if name != "ram":
        return None
    reader.done("start", start)
    return section_id


def _section(reader: _Reader, section_id: int, page_size: int) -> bool:
    """Records to EOS, and the footer if there is one. False: something that only QEMU understands comes next."""
    while (kind := _one_record(reader, page_size)) != "eos":
        if kind is None:
            return False
    if reader.data[reader.at : reader.at + 5] == bytes([FOOTER]) + section_id.to_bytes(4, "big"):
        reader.skip(5)
        reader.done("footer", reader.at - 5)
    return True


def _one_record(reader: _Reader, page_size: int) -> str | None:
    start = reader.at
    word = reader.number(8)
    flags = word & (page_size - 1)
    if flags == EOS:
        kind = "eos"
    elif flags == MULTIFD_FLUSH:
        kind = "flush"
    elif flags == MEM_SIZE:
        kind = "mem_size"
        total = word - flags
        while total > 0:
            reader.name()
            total -= reader.number(8)
    elif (flags & ~CONTINUE) in (ZERO, RAW, XBZRLE, COMPRESS):
        if not flags & CONTINUE:
            reader.name()
        kind = _page(reader, flags & ~CONTINUE, page_size)
    else:
        reader.at = start
        return None
    reader.done(kind, start)
    return kind


def _page(reader: _Reader, flag: int, page_size: int) -> str:
    if flag == ZERO:
        reader.skip(1)
        return "zero"
    if flag == RAW:
        reader.skip(page_size)
        return "page"
    if flag == XBZRLE:
        reader.number(1)
        reader.skip(reader.number(2))
        return "xbzrle"
    reader.skip(reader.number(4))
    return "compress"
