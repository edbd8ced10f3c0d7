"""Reads QEMU's migration stream (version 3, QEMU 2.3 to 10.x). No I/O: bytes go in, batches of pages come out.

Only what is needed to find the pages is understood. Bytes are never changed or dropped: batches concatenate to exactly the
stream, wherever it is cut, also when it is not a migration stream at all. What is not understood (sections without a
length before the end of "ram", multifd, postcopy's package, an unknown flag) is carried as opaque batches from there on,
with the reason in ``opaque_reason``; the tail after the end of "ram" is opaque by design. The format is that of QEMU's
migration/savevm.c and migration/ram.c.

Runs of raw pages (8 + 4096 bytes each) and of zero pages (9 bytes each) have a fixed stride, so their ends are found by
comparing a strided view of the flag bytes; short runs are walked record by record, which is cheaper below
``_LONG_RUN`` records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

import numpy as np

from harness.wire.batch import WORD_BYTES, PageBatch

__all__ = ["Mode", "QStreamParser", "StreamCounts"]

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")

_MAGIC = b"QEVM\x00\x00\x00\x03"
_EOF, _START, _PART, _END, _FULL, _SUBSECTION, _CONFIG, _COMMAND, _FOOTER = 0, 1, 2, 3, 4, 5, 7, 8, 0x7E
_CMD_PACKAGED, _CMD_POSTCOPY_LISTEN, _CMD_ENABLE_COLO = 7, 4, 8

ZERO, MEM_SIZE, PAGE, EOS, CONTINUE, XBZRLE, COMPRESS_PAGE, MULTIFD_FLUSH = (
    0x02,
    0x04,
    0x08,
    0x10,
    0x20,
    0x40,
    0x100,
    0x200,
)
_PAGE_RUN, _ZERO_RUN = PAGE | CONTINUE, ZERO | CONTINUE
_ZERO_BYTES = WORD_BYTES + 1
_LONG_RUN = 6
"""Records walked one by one before a strided search: a NumPy search costs as much as 6 to 8 of them (AMD EPYC, 2026-11-22)."""

_FIRST_LOOK = 64
"""Records in the first strided look; eight times as many in each further one."""

_LARGEST_ITEM = 1 << 17
"""An item that is not a page and needs more look-ahead than this is not one we know."""


class Mode(Enum):
    """Where in the stream the parser is."""

    HEADER = auto()
    ITEM = auto()
    RECORDS = auto()
    FOOTER = auto()
    OPAQUE = auto()


@dataclass(slots=True)
class StreamCounts:
    """What went by. ``zero_pages`` and ``raw_pages`` count records, so a page sent twice counts twice."""

    stream_bytes: int = 0
    opaque_bytes: int = 0
    raw_pages: int = 0
    zero_pages: int = 0
    other_pages: int = 0
    sections: int = 0


class _Incomplete(Exception):  # noqa: N818 - not an error: more bytes are needed
    """The item at hand is not all here yet."""


class _Unfamiliar(Exception):  # noqa: N818 - not an error: the rest is carried as it is
    """The stream is fine, but its length cannot be known from here on."""


@cache
def _as_stored(flags: int) -> np.uint16:
    """A word's low 16 bits as they lie in the stream, read in this machine's byte order: no byte is swapped per record."""
    return np.uint16(struct.unpack("=H", _U16.pack(flags))[0])


class QStreamParser:
    """Feed it through ``get_buffer`` and ``buffer_updated`` (no copy) or ``receive_data``; take ``next_batch`` until None.

    ``batch_bytes`` may be changed at any time and holds from the next batch on.
    """

    def __init__(self, batch_bytes: int = 256 << 10) -> None:
        self.batch_bytes = batch_bytes
        self.counts = StreamCounts()
        self.opaque_reason: str | None = None
        self.page_bytes = 4096
        self.total_ram_bytes: int | None = None
        self._mode = Mode.HEADER
        self._capabilities: frozenset[str] = frozenset()
        self._ram_id: int | None = None
        self._ending = False
        self._runs: list[tuple[int, int]] = []
        self._new_buffer(b"")

    @property
    def mode(self) -> Mode:
        """Where in the stream the parser is."""
        return self._mode

    @property
    def pending_bytes(self) -> int:
        """Bytes received and not yet given out."""
        return self._fill

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._view[self._fill :]

    def buffer_updated(self, count: int) -> None:
        """``count`` bytes were written to the start of ``get_buffer()``."""
        self._fill += count
        self.counts.stream_bytes += count
        self._parse()

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[PageBatch]:
        """Take ``data`` and give the batches that it completed."""
        batches: list[PageBatch] = []
        rest = memoryview(data)
        while rest:
            room = self.get_buffer()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self.buffer_updated(count)
            rest = rest[count:]
            while (batch := self.next_batch()) is not None:
                batches.append(batch)
        return batches

    def next_batch(self) -> PageBatch | None:
        """A full batch, or None while the buffer has room."""
        if self._fill < len(self._view):
            return None
        if self._pos == 0:
            self._give_up("an item is larger than a batch")
        return self._cut()

    def flush(self) -> PageBatch | None:
        """Everything complete so far, although it is less than a batch; None if there is nothing."""
        return self._cut() if self._pos else None

    def finish(self, reason: str = "the stream ended inside a record") -> PageBatch | None:
        """Everything, a torn record too: the stream has ended, or stalled for too long."""
        if self._pos < self._fill:
            self._give_up(reason)
        return self.flush()

    # ------------------------------------------------------------------ buffer

    def _new_buffer(self, tail: bytes | memoryview) -> None:
        size = max(self.batch_bytes, len(tail) + 2 * self.page_bytes, 1 << 14)
        self._array = np.empty(size, dtype=np.uint8)
        self._view = memoryview(self._array.data)
        self._view[: len(tail)] = tail
        self._fill = len(tail)
        self._pos = 0

    def _cut(self) -> PageBatch:
        view, pos, fill = self._view, self._pos, self._fill
        batch = PageBatch(view[:pos].toreadonly(), tuple(self._runs), self.page_bytes)
        self._runs = []
        self._new_buffer(view[pos:fill])
        self._parse()
        return batch

    def _give_up(self, reason: str) -> None:
        if self._mode is not Mode.OPAQUE:
            self._mode = Mode.OPAQUE
            self.opaque_reason = f"{reason} (at byte {self.counts.stream_bytes - self._fill + self._pos})"
        self._take_rest()

    def _take_rest(self) -> None:
        self.counts.opaque_bytes += self._fill - self._pos
        self._pos = self._fill

    # ------------------------------------------------------------------ items

    def _parse(self) -> None:
        """Advance over every complete item; ``_pos`` is then the end of the last one."""
        try:
            while self._pos < self._fill:
                if self._mode is Mode.OPAQUE:
                    self._take_rest()
                elif self._mode is Mode.RECORDS:
                    self._records()
                else:
                    self._pos = self._item(self._pos)
        except _Incomplete:
            if self._fill - self._pos > _LARGEST_ITEM:
                self._give_up("an item is longer than any we know")
        except _Unfamiliar as exc:
            self._give_up(str(exc))

    def _take(self, pos: int, count: int) -> int:
        """The position behind ``count`` bytes, once they are all here."""
        if pos + count > self._fill:
            raise _Incomplete
        return pos + count

    def _u32(self, pos: int) -> int:
        self._take(pos, 4)
        value: int = _U32.unpack_from(self._view, pos)[0]
        return value

    def _u64(self, pos: int) -> int:
        self._take(pos, 8)
        value: int = _U64.unpack_from(self._view, pos)[0]
        return value

    def _string(self, pos: int) -> tuple[str, int]:
        self._take(pos, 1)
        end = self._take(pos + 1, self._view[pos])
        return bytes(self._view[pos + 1 : end]).decode("ascii", "replace"), end

    def _item(self, pos: int) -> int:
        if self._mode is Mode.HEADER:
            return self._header(pos)
        if self._mode is Mode.FOOTER:
            return self._footer(pos)
        kind = self._view[pos]
        readers: dict[int, Callable[[int], int]] = {
            _CONFIG: self._config,
            _SUBSECTION: self._subsection,
            _COMMAND: self._command,
            _START: self._section_start,
            _FULL: self._section_start,
            _PART: self._section_part,
            _END: self._section_part,
        }
        if kind not in readers:
            raise _Unfamiliar(f"unknown item type 0x{kind:02x}")
        return readers[kind](pos)

    def _config(self, pos: int) -> int:
        return self._take(pos + 5, self._bounded(self._u32(pos + 1), "the machine's name"))

    def _bounded(self, count: int, what: str) -> int:
        if count > _LARGEST_ITEM:
            raise _Unfamiliar(f"{what} claims {count} bytes")
        return count

    def _header(self, pos: int) -> int:
        here = bytes(self._view[pos : min(pos + len(_MAGIC), self._fill)])
        if not _MAGIC.startswith(here):
            raise _Unfamiliar("not a QEMU migration stream of version 3")
        end = self._take(pos, len(_MAGIC))
        self._mode = Mode.ITEM
        return end

    def _subsection(self, pos: int) -> int:
        name, at = self._string(pos + 1)
        at = self._take(at, 4)
        if name == "configuration/target-page-bits":
            bits = self._u32(at)
            if not 10 <= bits <= 16:
                raise _Unfamiliar(f"target page bits {bits}")
            self.page_bytes = 1 << bits
            return at + 4
        if name == "configuration/uuid":
            return self._take(at, 16)
        if name != "configuration/capabilities":
            raise _Unfamiliar(f"unknown subsection {name!r}")
        names = []
        count, at = self._u32(at), at + 4
        for _ in range(self._bounded(count, "the list of capabilities")):
            capability, at = self._string(at)
            names.append(capability)
        self._capabilities = frozenset(names)
        return at

    def _command(self, pos: int) -> int:
        at = self._take(pos + 1, 4)
        command, length = struct.unpack_from(">HH", self._view, pos + 1)
        if command in (_CMD_PACKAGED, _CMD_POSTCOPY_LISTEN, _CMD_ENABLE_COLO):
            raise _Unfamiliar("postcopy or COLO has begun")
        return self._take(at, length)

    def _section_start(self, pos: int) -> int:
        section_id = self._u32(pos + 1)
        name, at = self._string(pos + 5)
        version = self._u32(at + 4)
        if name != "ram" or version != 4 or self._view[pos] != _START:
            raise _Unfamiliar(f"section {name!r} version {version} before the end of ram")
        self._ram_id, self._mode, self._ending = section_id, Mode.RECORDS, False
        self.counts.sections += 1
        return at + 8

    def _section_part(self, pos: int) -> int:
        section_id = self._u32(pos + 1)
        if section_id != self._ram_id:
            raise _Unfamiliar(f"a part of section {section_id} before the end of ram")
        self._mode, self._ending = Mode.RECORDS, self._view[pos] == _END
        self.counts.sections += 1
        return pos + 5

    def _footer(self, pos: int) -> int:
        end = self._take(pos, 5)
        if self._view[pos] != _FOOTER or self._u32(pos + 1) != self._ram_id:
            raise _Unfamiliar("the ram section has no footer")
        self._mode = Mode.OPAQUE if self._ending else Mode.ITEM
        return end

    # ------------------------------------------------------------------ ram records

    def _records(self) -> None:
        """Walk records until the section's end. The hot loop: every name in it is local."""
        view, fill, mask = self._view, self._fill, self.page_bytes - 1
        unpack, runs, counts = _U64.unpack_from, self._runs, self.counts
        stride = self.page_bytes + WORD_BYTES
        pos = self._pos
        while fill - pos >= _ZERO_BYTES:
            flags = unpack(view, pos)[0] & mask
            start = pos
            if flags == _PAGE_RUN:
                last, limit = fill - stride, min(fill - stride, pos + _LONG_RUN * stride)
                while pos <= limit and unpack(view, pos)[0] & mask == _PAGE_RUN:
                    pos += stride
                if limit < pos <= last:
                    pos += stride * self._run(pos, stride, _PAGE_RUN)
                if pos == start:
                    break
                pages = (pos - start) // stride
                runs.append((start + WORD_BYTES, pages))
                counts.raw_pages += pages
            elif flags == _ZERO_RUN:
                pos += _ZERO_BYTES
                last, limit = fill - _ZERO_BYTES, min(fill - _ZERO_BYTES, pos + _LONG_RUN * _ZERO_BYTES)
                while pos <= limit and unpack(view, pos)[0] & mask == _ZERO_RUN:
                    pos += _ZERO_BYTES
                if limit < pos <= last:
                    pos += _ZERO_BYTES * self._run(pos, _ZERO_BYTES, _ZERO_RUN)
                counts.zero_pages += (pos - start) // _ZERO_BYTES
            else:
                self._pos = pos
                pos = self._rare_record(pos, flags)
                if self._mode is not Mode.RECORDS:
                    self._pos = pos
                    return
            self._pos = pos
        self._pos = pos
        if fill - pos < _ZERO_BYTES and fill - pos >= WORD_BYTES and unpack(view, pos)[0] & mask & EOS:
            self._pos = self._rare_record(pos, unpack(view, pos)[0] & mask)
            return
        raise _Incomplete

    def _run(self, pos: int, stride: int, flags: int) -> int:
        """How many complete records with just these flags follow at ``pos``. Looks ahead further as the run goes on."""
        mask, wanted = _as_stored(self.page_bytes - 1), _as_stored(flags)
        left, found, step = (self._fill - pos) // stride, 0, _FIRST_LOOK
        while left:
            look = min(left, step)
            at = pos + found * stride + WORD_BYTES - 2
            low = np.ndarray((look,), dtype=np.uint16, buffer=self._array, offset=at, strides=(stride,))
            other = (low & mask) != wanted
            first = int(other.argmax())
            if other[first]:
                return found + first
            found, left, step = found + look, left - look, step * 8
        return found

    def _rare_record(self, pos: int, flags: int) -> int:
        """Any record that is not part of a run; returns its end."""
        if flags == EOS:
            self._mode = Mode.FOOTER
            return pos + WORD_BYTES
        if flags == MULTIFD_FLUSH:
            return pos + WORD_BYTES
        if flags == MEM_SIZE:
            return self._mem_size(pos + WORD_BYTES, _U64.unpack_from(self._view, pos)[0] & ~(self.page_bytes - 1))
        at = pos + WORD_BYTES
        if not flags & CONTINUE:
            _, at = self._string(at)
        kind = flags & ~CONTINUE
        if kind == PAGE:
            end = self._take(at, self.page_bytes)
            self._runs.append((at, 1))
            self.counts.raw_pages += 1
            return end
        if kind == ZERO:
            end = self._take(at, 1)
            self.counts.zero_pages += 1
            return end
        if kind == XBZRLE:
            self._take(at, 3)
            end = self._take(at + 3, _U16.unpack_from(self._view, at + 1)[0])
        elif kind == COMPRESS_PAGE:
            end = self._take(at + 4, self._bounded(self._u32(at), "a compressed page"))
        else:
            raise _Unfamiliar(f"unknown record flags 0x{flags:x}")
        self.counts.other_pages += 1
        return end

    def _mem_size(self, pos: int, total: int) -> int:
        """The list of RAM blocks. Where postcopy may be on, a block can carry its page size: both layouts are tried."""
        ignore_shared = "x-ignore-shared" in self._capabilities
        extras = (
            (8 * ignore_shared,)
            if "postcopy-ram" not in self._capabilities
            else (8 * ignore_shared, 8 + 8 * ignore_shared)
        )
        self.total_ram_bytes = total
        for extra in extras:
            end = self._blocks(pos, total, extra)
            if end is not None:
                return end
        raise _Unfamiliar("the list of RAM blocks does not sum to the RAM's size")

    def _blocks(self, pos: int, total: int, extra: int) -> int | None:
        rest = total
        while rest > 0:
            name, at = self._string(pos)
            if not name.isprintable() or not name:
                return None
            rest -= self._u64(at)
            pos = self._take(at + 8, extra)
        return pos if rest == 0 else None
