"""Reads QEMU's migration stream (version 3; QEMU 5.x to 10.x). No I/O: bytes go in, batches of pages come out.

Only what is needed to find the pages is understood. Bytes are never changed or dropped: batches concatenate to exactly the
stream, wherever it is cut, also when it is not a migration stream at all. What is not understood (sections without a
length before the end of "ram", multifd, postcopy's package, an unknown flag) is carried as opaque batches from there on,
with the reason in ``opaque_reason``; the tail after the end of "ram" is opaque by design. The format is that of QEMU's
migration/savevm.c; ``ram`` reads what is in the "ram" sections.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from harness.wire.batch import PageBatch
from harness.wire.qemu.cursor import Cursor, Incomplete, Unfamiliar
from harness.wire.qemu.ending import Tail
from harness.wire.qemu.marks import COMMAND, CONFIGURATION, END, FOOTER, FULL, MAGIC, PART, START, SUBSECTION
from harness.wire.qemu.ram import LARGEST_ITEM_BYTES, RamSection, StreamCounts

__all__ = ["QStreamParser", "StreamCounts"]

_CMD_OPEN_RETURN_PATH, _CMD_POSTCOPY_ADVISE, _CMD_POSTCOPY_LISTEN, _CMD_PACKAGED, _CMD_ENABLE_COLO = 1, 3, 4, 7, 8
_RECOVERY = b"\x08\x00\x0a"
"""A command that asks for a bitmap of pages: how a source begins that recovers a post-copy migration."""
_SMALLEST_BUFFER_BYTES = 1 << 14
_MACHINE_BYTES = 128
"""Names of machines are shorter."""


class _Mode(Enum):
    """Where in the stream the parser is."""

    HEADER = auto()
    ITEM = auto()
    RECORDS = auto()
    FOOTER = auto()
    OPAQUE = auto()


class QStreamParser:
    """Feed it through ``get_buffer`` and ``buffer_updated`` (no copy) or ``receive_data``; take ``next_batch`` until None.

    ``batch_bytes`` may be changed at any time and holds from the next batch on. ``return_path``: whether the destination is to
    answer, None while that is not known; False also where it cannot be seen. ``postcopy``: pages now go as they are asked for.
    ``is_migration``: the stream begins as one does. ``machine``: the versioned machine type that it names. ``ending``: the guest
    stands still, and the pages that now come are the last.
    """

    def __init__(self, batch_bytes: int = 256 << 10) -> None:
        self.batch_bytes = batch_bytes
        self.counts = StreamCounts()
        self.opaque_reason: str | None = None
        self.ram = RamSection(self.counts)
        self.return_path: bool | None = None
        self.postcopy = False
        self._tail = Tail()
        self._mode = _Mode.HEADER
        self.is_migration = False
        self.machine: str | None = None
        self.ending = False
        self._ram_id: int | None = None
        self._cursor = Cursor(max(batch_bytes, _SMALLEST_BUFFER_BYTES))

    def is_whole(self) -> bool:
        """Whether all that was given out so far ends as a stream does; for a stream that post-copy ended, or a destination's
        answer, that says nothing."""
        return self._mode is _Mode.OPAQUE and self._tail.is_whole()

    @property
    def pending_bytes(self) -> int:
        """Bytes received and not yet given out."""
        return self._cursor.fill

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._cursor.view[self._cursor.fill :]

    def buffer_updated(self, count: int) -> None:
        """``count`` bytes were written to the start of ``get_buffer()``."""
        self._cursor.fill += count
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
        if self._cursor.fill < len(self._cursor.view):
            return None
        if self._cursor.pos == 0:
            self._give_up("an item is larger than a batch")
        return self._cut()

    def flush(self) -> PageBatch | None:
        """Everything complete so far, although it is less than a batch; None if there is nothing."""
        return self._cut() if self._cursor.pos else None

    def finish(self, reason: str = "the stream ended inside a record") -> PageBatch | None:
        """Everything, a torn record too: the stream has ended, or stalled for too long."""
        if self._cursor.pos < self._cursor.fill:
            self._give_up(reason)
        return self.flush()

    def _cut(self) -> PageBatch:
        """What is complete becomes a batch and keeps its buffer; what is torn moves to a new one."""
        done, ram = self._cursor, self.ram
        batch = PageBatch(done.view[: done.pos].toreadonly(), tuple(ram.runs), ram.page_bytes)
        ram.runs = []
        if self._mode is _Mode.OPAQUE:
            self._tail.keep(batch.raw)
        tail = done.view[done.pos : done.fill]
        self._cursor = Cursor(max(self.batch_bytes, len(tail) + 2 * ram.page_bytes, _SMALLEST_BUFFER_BYTES), tail)
        self._parse()
        return batch

    def _give_up(self, reason: str) -> None:
        cursor = self._cursor
        if self._mode is not _Mode.OPAQUE:
            self._mode = _Mode.OPAQUE
            self.opaque_reason = f"{reason} (at byte {self.counts.stream_bytes - cursor.fill + cursor.pos})"
            self.return_path = bool(self.return_path)
        self._take_rest()

    def _take_rest(self) -> None:
        self.counts.opaque_bytes += self._cursor.fill - self._cursor.pos
        self._cursor.pos = self._cursor.fill

    # ------------------------------------------------------------------ items

    def _parse(self) -> None:
        """Advance over every complete item."""
        cursor = self._cursor
        try:
            while cursor.pos < cursor.fill:
                if self._mode is _Mode.OPAQUE:
                    self._take_rest()
                elif self._mode is _Mode.RECORDS:
                    self.ram.walk(cursor)
                    self._mode = _Mode.FOOTER
                else:
                    cursor.pos = self._item(cursor, cursor.pos)
        except Incomplete:
            if cursor.fill - cursor.pos > LARGEST_ITEM_BYTES:
                self._give_up("an item is longer than any we know")
        except Unfamiliar as exc:
            self._give_up(str(exc))

    def _item(self, cursor: Cursor, pos: int) -> int:
        """Read the item at ``pos``; returns its end."""
        if self._mode is _Mode.HEADER:
            return self._header(cursor, pos)
        if self._mode is _Mode.FOOTER:
            return self._footer(cursor, pos)
        kind = cursor.view[pos]
        readers: dict[int, Callable[[Cursor, int], int]] = {
            CONFIGURATION: self._config,
            SUBSECTION: self._subsection,
            COMMAND: self._command,
            START: self._section_start,
            FULL: self._section_start,
            PART: self._section_part,
            END: self._section_part,
        }
        if kind not in readers:
            raise Unfamiliar(f"unknown item type 0x{kind:02x}")
        return readers[kind](cursor, pos)

    def _header(self, cursor: Cursor, pos: int) -> int:
        here = bytes(cursor.view[pos : min(pos + len(MAGIC), cursor.fill)])
        if here.startswith(_RECOVERY):
            self.return_path = self.postcopy = self.is_migration = True
            raise Unfamiliar(
                "the recovery of a post-copy migration, which sends the pages that the destination asks for"
            )
        if not MAGIC.startswith(here) and not _RECOVERY.startswith(here):
            raise Unfamiliar("not a QEMU migration stream of version 3")
        end = cursor.take(pos, len(MAGIC))
        self.is_migration = True
        self._mode = _Mode.ITEM
        return end

    def _config(self, cursor: Cursor, pos: int) -> int:
        at = pos + 5
        end = cursor.take(at, _bounded(cursor.u32(pos + 1), "the machine's name"))
        self.machine = bytes(cursor.view[at : min(end, at + _MACHINE_BYTES)]).decode("ascii", "replace")
        return end

    def _subsection(self, cursor: Cursor, pos: int) -> int:
        name, at = cursor.string(pos + 1)
        at = cursor.take(at, 4)
        if name == "configuration/target-page-bits":
            bits = cursor.u32(at)
            if not 10 <= bits <= 16:
                raise Unfamiliar(f"target page bits {bits}")
            self.ram.tell_page_bytes(1 << bits)
            return at + 4
        if name == "configuration/uuid":
            return cursor.take(at, 16)
        if name != "configuration/capabilities":
            raise Unfamiliar(f"unknown subsection {name!r}")
        names = []
        count, at = cursor.u32(at), at + 4
        for _ in range(_bounded(count, "the list of capabilities")):
            capability, at = cursor.string(at)
            names.append(capability)
        self.ram.capabilities = frozenset(names)
        return at

    def _command(self, cursor: Cursor, pos: int) -> int:
        command, length = cursor.u16(pos + 1), cursor.u16(pos + 3)
        if command in (_CMD_PACKAGED, _CMD_POSTCOPY_LISTEN, _CMD_ENABLE_COLO):
            self.postcopy = command != _CMD_ENABLE_COLO
            raise Unfamiliar("postcopy or COLO has begun")
        self.return_path = self.return_path or command == _CMD_OPEN_RETURN_PATH or None
        # With nothing in it, it tells of dirty bitmaps alone that may follow.
        self.ram.postcopy_advised |= command == _CMD_POSTCOPY_ADVISE and length > 0
        return cursor.take(pos + 5, length)

    def _section_start(self, cursor: Cursor, pos: int) -> int:
        section_id = cursor.u32(pos + 1)
        name, at = cursor.string(pos + 5)
        version = cursor.u32(at + 4)
        self.return_path = bool(self.return_path)
        if name != "ram" or version != 4 or cursor.view[pos] != START:
            raise Unfamiliar(f"section {name!r} version {version} before the end of ram")
        self._ram_id = section_id
        self._enter_ram(ending=False)
        return at + 8

    def _section_part(self, cursor: Cursor, pos: int) -> int:
        section_id = cursor.u32(pos + 1)
        if section_id != self._ram_id:
            raise Unfamiliar(f"a part of section {section_id} before the end of ram")
        self._enter_ram(ending=cursor.view[pos] == END)
        return pos + 5

    def _enter_ram(self, *, ending: bool) -> None:
        self._mode, self.ending = _Mode.RECORDS, ending
        self.counts.sections += 1

    def _footer(self, cursor: Cursor, pos: int) -> int:
        end = cursor.take(pos, 5)
        if cursor.view[pos] != FOOTER or cursor.u32(pos + 1) != self._ram_id:
            raise Unfamiliar("the ram section has no footer")
        self._mode = _Mode.OPAQUE if self.ending else _Mode.ITEM
        return end


def _bounded(count: int, what: str) -> int:
    if count > LARGEST_ITEM_BYTES:
        raise Unfamiliar(f"{what} claims {count} bytes")
    return count
