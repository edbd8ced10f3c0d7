"""The records of QEMU's "ram" section, version 4 (migration/ram.c): finds every page in them. Knows no other section.

Runs of raw pages (8 + 4096 bytes each) and of zero pages (9 bytes each) have a fixed stride, so their ends are found by
comparing a strided view of the flag bytes; short runs are walked record by record, which is cheaper below ``_LONG_RUN``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np

from harness.wire.batch import WORD_BYTES
from harness.wire.qemu.cursor import Cursor, Incomplete, Unfamiliar
from harness.wire.qemu.marks import COMPRESS_PAGE, CONTINUE, EOS, MEM_SIZE, MULTIFD_FLUSH, PAGE, XBZRLE, ZERO

_PAGE_RUN, _ZERO_RUN = PAGE | CONTINUE, ZERO | CONTINUE
_ZERO_BYTES = WORD_BYTES + 1
_FLAGS = 0x3FF
_LARGER_THAN_SMALLEST = 0xC00
"""All flags, which fit below the smallest page's size; the bits of an address between that and 4 KiB."""
_KNOWN = frozenset({_PAGE_RUN, _ZERO_RUN, PAGE, ZERO, EOS, MULTIFD_FLUSH})
_UNTOLD_PAGE_BYTES = (4096, 1024, 8192)
"""Of most targets; of Arm's oldest machines; of SPARC and Alpha."""
_WORD = struct.Struct(">Q")

_LONG_RUN = 6
"""Records walked one by one before a strided search: a NumPy search costs as much as 6 to 8 of them (AMD EPYC, 2026-11-22)."""

_FIRST_LOOK = 64
"""Records in the first strided look; eight times as many in each further one."""

LARGEST_ITEM_BYTES = 1 << 17
"""An item that is not a page and claims or needs more is not one we know."""


@dataclass(slots=True)
class StreamCounts:
    """What went by. ``zero_pages`` and ``raw_pages`` count records, so a page sent twice counts twice."""

    stream_bytes: int = 0
    opaque_bytes: int = 0
    raw_pages: int = 0
    zero_pages: int = 0
    other_pages: int = 0
    sections: int = 0


class RamSection:
    """What is known of the guest's RAM, and the walk over its records. ``runs`` is the current batch's, as in ``PageBatch``."""

    def __init__(self, counts: StreamCounts) -> None:
        self.page_bytes = 4096
        self.postcopy_advised = False
        self._page_bytes_are_known = False
        self.capabilities: frozenset[str] = frozenset()
        self._total_ram_bytes: int | None = None
        self._begins_at: dict[str, int] = {}
        self._begin = self._place = 0
        self._in_first_pass = True
        self.runs: list[tuple[int, int]] = []
        self._counts = counts
        self._cursor = Cursor(1)

    def tell_page_bytes(self, page_bytes: int) -> None:
        """The stream itself says how large the target's pages are."""
        self.page_bytes, self._page_bytes_are_known = page_bytes, True

    @property
    def first_pass_left_bytes(self) -> int:
        """How much of the guest's memory, zeros too, the first pass has not come to. QEMU walks block by block in the order of its
        list, each from its lowest address up, and walks on while more is left than it could send in the time for which it may stop
        the guest. 0: that pass is over; the guest may go on elsewhere before (post-copy); or some of it is never sent, as is known
        of shared memory. What a guest says to be free is not sent either, which nothing in a stream tells."""
        if not self._in_first_pass or self.postcopy_advised or "x-ignore-shared" in self.capabilities:
            return 0
        return (self._total_ram_bytes or 0) - self._place

    def walk(self, cursor: Cursor) -> None:
        """Advance ``cursor.pos`` over records to the end of this part of the section.

        The hot loop: every name in it is local. :raises Incomplete: the end is not here yet. :raises Unfamiliar: a record is.
        """
        self._cursor = cursor
        if not self._page_bytes_are_known and not self._learn_page_bytes(cursor):
            return
        view, fill, mask = cursor.view, cursor.fill, self.page_bytes - 1
        unpack, stride = _WORD.unpack_from, self.page_bytes + WORD_BYTES
        pos, last = cursor.pos, -1
        try:
            while fill - pos >= WORD_BYTES:
                flags = unpack(view, pos)[0] & mask
                if flags == _PAGE_RUN:
                    end = pos + self._run(pos, stride, _PAGE_RUN)
                    if end == pos:
                        break
                    pages = (end - pos) // stride
                    self.runs.append((pos + WORD_BYTES, pages))
                    self._counts.raw_pages += pages
                    last = end - stride
                elif flags == _ZERO_RUN:
                    end = pos + self._run(pos, _ZERO_BYTES, _ZERO_RUN)
                    if end == pos:
                        break
                    self._counts.zero_pages += (end - pos) // _ZERO_BYTES
                    last = end - _ZERO_BYTES
                elif flags == EOS:
                    cursor.pos = pos + WORD_BYTES
                    return
                else:
                    end, last = self._rare_record(pos, flags), -1
                cursor.pos = pos = end
        finally:
            if last >= 0:
                self._reached(unpack(view, last)[0] & ~mask)
        raise Incomplete

    def _learn_page_bytes(self, cursor: Cursor) -> bool:
        """Walk to the first record that depends on the size of pages, which machines with their target's smallest do not tell.
        False: this part of the section ended before that."""
        while True:
            pos = cursor.pos
            word = cursor.u64(pos)
            flags = word & _FLAGS
            if flags == EOS:
                cursor.pos += WORD_BYTES
                return False
            kind = flags & ~CONTINUE
            if kind == PAGE or (kind == ZERO and word & _LARGER_THAN_SMALLEST):
                self.tell_page_bytes(self._likely_page_bytes(pos, word) if kind == PAGE else _FLAGS + 1)
                return True
            cursor.pos = self._rare_record(pos, word & (self.page_bytes - 1))

    def _likely_page_bytes(self, pos: int, word: int) -> int:
        """The first size that the address allows, and behind whose page another record stands."""
        at = pos + WORD_BYTES
        if not word & CONTINUE:
            _, at = self._cursor.string(at)
        sizes = [size for size in _UNTOLD_PAGE_BYTES if word & (size - 1) & ~_FLAGS == 0]
        for size in sizes:
            behind = self._cursor.u64(at + size)
            if behind & (size - 1) in _KNOWN and behind & ~(size - 1) < (self._total_ram_bytes or 0):
                return size
        return sizes[0]

    def _run(self, pos: int, stride: int, flags: int) -> int:
        """How many bytes of complete records with just these flags begin at ``pos``."""
        view, mask, unpack = self._cursor.view, self.page_bytes - 1, _WORD.unpack_from
        start, last = pos, self._cursor.fill - stride
        limit = min(last, pos + _LONG_RUN * stride)
        while pos <= limit and unpack(view, pos)[0] & mask == flags:
            pos += stride
        if limit < pos <= last:
            pos += stride * self._long_run(pos, stride, flags)
        return pos - start

    def _long_run(self, pos: int, stride: int, flags: int) -> int:
        """The same in records; looks ahead further as the run goes on."""
        mask, wanted = _as_stored(self.page_bytes - 1), _as_stored(flags)
        left, found, step = (self._cursor.fill - pos) // stride, 0, _FIRST_LOOK
        while left:
            look = min(left, step)
            at = pos + found * stride + WORD_BYTES - 2
            low = np.ndarray((look,), dtype=np.uint16, buffer=self._cursor.array, offset=at, strides=(stride,))
            other = (low & mask) != wanted
            first = int(other.argmax())
            if other[first]:
                return found + first
            found, left, step = found + look, left - look, step * 8
        return found

    def _rare_record(self, pos: int, flags: int) -> int:
        """Any record that is not part of a run; returns its end."""
        cursor, at = self._cursor, pos + WORD_BYTES
        if flags == MULTIFD_FLUSH:
            return at
        if flags == MEM_SIZE:
            return self._mem_size(at, cursor.u64(pos) & ~(self.page_bytes - 1))
        name = None
        if not flags & CONTINUE:
            name, at = cursor.string(at)
        kind = flags & ~CONTINUE
        if kind == PAGE:
            end = cursor.take(at, self.page_bytes)
            self.runs.append((at, 1))
            self._counts.raw_pages += 1
        elif kind == ZERO:
            end = cursor.take(at, 1)
            self._counts.zero_pages += 1
        else:
            end = self._encoded_page(at, kind, flags)
            self._counts.other_pages += 1
        self._reached(cursor.u64(pos) & ~(self.page_bytes - 1), name)
        return end

    def _reached(self, address: int, block: str | None = None) -> None:
        """The walk through memory is at this address, of ``block`` or of the block where it was."""
        if block is not None:
            self._begin = self._begins_at.get(block, -1)
        place = self._begin + address
        self._in_first_pass = (
            self._in_first_pass and self._begin >= 0 and self._place <= place < (self._total_ram_bytes or 0)
        )
        self._place = place

    def _encoded_page(self, at: int, kind: int, flags: int) -> int:
        cursor = self._cursor
        if kind == XBZRLE:
            return cursor.take(at + 3, cursor.u16(at + 1))
        if kind == COMPRESS_PAGE:
            length = cursor.u32(at)
            if length > LARGEST_ITEM_BYTES:
                raise Unfamiliar(f"a compressed page claims {length} bytes")
            return cursor.take(at + 4, length)
        raise Unfamiliar(f"unknown record flags 0x{flags:x}")

    def _mem_size(self, at: int, total: int) -> int:
        """The list of RAM blocks. Where post-copy may follow, each block whose pages are not the host's has their size."""
        cursor, rest = self._cursor, total
        self._total_ram_bytes, self._begins_at = total, {}
        shared = 8 if "x-ignore-shared" in self.capabilities else 0
        if shared and self.postcopy_advised:  # QEMU 7.2 and 10.0 refuse it; an address may look like a size of pages
            raise Unfamiliar("x-ignore-shared together with postcopy-ram")
        while rest > 0:
            name, at = cursor.string(at)
            self._begins_at[name] = total - rest
            rest -= cursor.u64(at)
            if not name.isprintable() or not name or rest < 0:
                raise Unfamiliar("the list of RAM blocks does not sum to the RAM's size")
            at += 8
            if self.postcopy_advised and _is_page_size(cursor.u64(at)):
                at += 8
            at = cursor.take(at, shared)
        return at


def _is_page_size(value: int) -> bool:
    """As against what else may stand there: the length and first letters of a name, or a word, which has a flag."""
    return value.bit_count() == 1 and value > _FLAGS and value < 1 << 40


@cache
def _as_stored(flags: int) -> np.uint16:
    """A word's low 16 bits as they lie in the stream, read in this machine's byte order: no byte is swapped per record."""
    return np.uint16(struct.unpack("=H", struct.pack(">H", flags))[0])
