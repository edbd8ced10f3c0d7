"""Reads a channel of QEMU's multifd (migration/multifd.c; QEMU 5.x to 10.x), which carries packets of pages. No I/O.

    channel := u32 0x11223344, u32 version (1), 16 bytes of uuid, u8 id, 39 unused bytes          64 bytes
               packet*
    packet  := u32 0x11223344, u32 version, u32 flags, u32 offsets_there, u32 pages, u32 payload_bytes, u64 number,
               u32 zero_pages (since 9.0), 28 unused bytes, 256 bytes of block's name,            320 bytes
               offsets (u64 each), payload
    device  := u32 0x11223344, u32 version, u32 flags, 256 bytes of device's name, u32 instance, u32 payload_bytes; payload (10.0)

A packet has room for the offsets of 512 KiB of pages, whether it has any or not; one that only keeps the channels in step has none
(and says so since 9.1), and no payload, although 7.2 repeats there how large the last one was. The payload is the pages, or what
multifd's own compression made of them. Pages lie behind each other, so that a batch needs no plan of where they are: it ends at a
page's end or at a header's, and is compressed as it is.
"""

from __future__ import annotations

from harness.wire.qemu.cursor import Cursor, Incomplete, Unfamiliar
from harness.wire.qemu.marks import MULTIFD_MAGIC
from harness.wire.qemu.stream import QStreamParser

_VERSION = 1
_INITIAL_BYTES = 64
_PACKET_BYTES, _OFFSET_BYTES, _MOST_OFFSETS = 320, 8, 4096
_DEVICE_BYTES, _DEVICE_PAYLOAD_AT = 276, 272
_FLAGS_AT, _OFFSETS_AT, _PAGES_AT, _PAYLOAD_AT, _ZERO_PAGES_AT = 8, 12, 16, 20, 32
_PACKET_PAGES_BYTES = 512 << 10
_MOST_UNIT_BYTES = 8 << 10
"""Larger pages are cut: a batch is to hold some."""

_METHOD, _DEVICE_STATE = 0x3E, 0x40
_METHODS = {0x02: "zlib", 0x04: "zstd", 0x08: "qpl", 0x10: "uadk", 0x20: "qatzip"}


class MultifdParser(QStreamParser):
    """As ``QStreamParser``; ``packed_by``: what QEMU compresses with by itself. What is not understood is opaque from there on."""

    def __init__(self, batch_bytes: int = 256 << 10) -> None:
        super().__init__(batch_bytes)
        self.packed_by: str | None = None
        self._begun = False
        self._offsets = _PACKET_PAGES_BYTES // self.ram.page_bytes
        self._left_bytes = 0
        self._unit_bytes = 1

    def _item(self, cursor: Cursor, pos: int) -> int:
        """The initial packet, a packet's header, or as many whole pages of its payload as are here."""
        if self._left_bytes:
            return self._payload(cursor, pos)
        if bytes(cursor.view[pos : cursor.take(pos, 4)]) != MULTIFD_MAGIC or cursor.u32(pos + 4) != _VERSION:
            raise Unfamiliar("not a packet of multifd, version 1")
        if not self._begun:
            end = cursor.take(pos, _INITIAL_BYTES)
            self._begun = True
            return end
        return self._device(cursor, pos) if cursor.u32(pos + _FLAGS_AT) & _DEVICE_STATE else self._packet(cursor, pos)

    def _payload(self, cursor: Cursor, pos: int) -> int:
        count = min(self._left_bytes, cursor.fill - pos)
        if count < self._left_bytes:
            count -= count % self._unit_bytes
        if not count:
            raise Incomplete
        self._left_bytes -= count
        return pos + count

    def _packet(self, cursor: Cursor, pos: int) -> int:
        offsets = cursor.u32(pos + _OFFSETS_AT) or self._offsets
        if offsets > _MOST_OFFSETS:
            raise Unfamiliar(f"a packet of multifd claims {offsets} offsets")
        end = cursor.take(pos, _PACKET_BYTES + offsets * _OFFSET_BYTES)
        self._offsets = offsets
        method = cursor.u32(pos + _FLAGS_AT) & _METHOD
        pages, payload_bytes = cursor.u32(pos + _PAGES_AT), cursor.u32(pos + _PAYLOAD_AT)
        self.counts.sections += 1
        self.counts.zero_pages += cursor.u32(pos + _ZERO_PAGES_AT)
        self._unit_bytes = 1
        if method:
            self.packed_by = _METHODS.get(method, "a method that we do not know")
            self.counts.other_pages += pages
        else:
            self.counts.raw_pages += pages
            if pages and payload_bytes // pages <= _MOST_UNIT_BYTES:
                self._unit_bytes = max(1, payload_bytes // pages)
        self._left_bytes = payload_bytes if pages else 0
        return end

    def _device(self, cursor: Cursor, pos: int) -> int:
        end = cursor.take(pos, _DEVICE_BYTES)
        self._left_bytes, self._unit_bytes = cursor.u32(pos + _DEVICE_PAYLOAD_AT), 1
        return end
