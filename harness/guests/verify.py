"""Whether a migration moved every byte: the source's RAM against the destination's, and the guest's own check.

Knows QEMU only through a monitor that it is handed, and the guest only through the checks that it is handed. Slow on
purpose: it runs after the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.errors import QemuError
from harness.guests.compare import CHUNK_BYTES, Finding, Piece, Verdict, compare
from harness.hosts.contract import Host
from harness.hosts.files import DIGEST_BYTES, page_digests, read_part, remove_files
from harness.qemu.memory import Block
from harness.units import PAGE_BYTES


class Monitor(Protocol):
    """A QMP connection: ``harness.qemu.qmp.Qmp`` is one."""

    def execute(self, command: str, /, *, timeout_s: float = ..., **arguments: object) -> object:
        """Run one command; it has ``timeout_s`` for its answer."""


class Range(Protocol):
    """Guest-physical memory from ``start`` on, ``bytes`` long."""

    @property
    def start(self) -> int:
        """The first address."""

    @property
    def bytes(self) -> int:
        """How many."""


class MemoryLayout(Protocol):
    """Which memory changes while the guest runs; a kind of guest has one. All ranges are of whole pages.

    ``compare``: never. ``working_set``: each page's first ``page_changed_bytes``. The last of ``private``: a table of
    32-bit counters, one for each page of the working set, that only grow.
    """

    @property
    def compare(self) -> Sequence[Range]:
        """See the class."""

    @property
    def working_set(self) -> Sequence[Range]:
        """See the class."""

    @property
    def private(self) -> Sequence[Range]:
        """See the class."""

    @property
    def page_changed_bytes(self) -> int:
        """See the class."""


def verify(
    source: Dumped,
    destination: Dumped,
    layout: MemoryLayout,
    *,
    blocks: Sequence[Block] = (),
    guest_checks: Iterable[Verdict] = (),
) -> list[Verdict]:
    """Stop the destination's guest, compare both RAMs page by page, and add that to what the guest found itself.
    Several ``blocks`` are told of one by one.

    The source is paused since its migration completed, so its RAM is what had to arrive. Left to ``guest_checks`` is
    only what the guest goes on writing; they are consumed first, while the guest still runs and can answer.

    :raises QemuError: memory cannot be read. A difference is no error: it is the answer.
    """
    checks: list[Verdict] = list(guest_checks)
    destination.monitor.execute("stop")
    outside = [Piece(part.start, part.bytes) for part in layout.compare]
    inside = [Piece(part.start, part.bytes, layout.page_changed_bytes) for part in layout.working_set]
    sides, table = (source, destination), layout.private[-1]
    for what, pieces in (("outside the working set", outside), ("of working-set pages' unwritten parts", inside)):
        checks += [compare(own, sides).told(what + where) for where, own in _by_block(pieces, blocks)]
    return [*checks, _check_counters([side.read(table.start, table.bytes) for side in sides])]


def _by_block(pieces: Sequence[Piece], blocks: Sequence[Block]) -> Iterator[tuple[str, Sequence[Piece]]]:
    """Those of each block, with words for it; all at once where there is one block."""
    if len(blocks) < 2:
        yield "", pieces
        return
    for block in blocks:
        own = [part for piece in pieces for seen in block.ranges for part in _within(piece, seen)]
        if own:
            yield f" in {block.name}", own


def _within(piece: Piece, seen: Range) -> Iterator[Piece]:
    first, end = max(piece.start, seen.start), min(piece.start + piece.bytes, seen.start + seen.bytes)
    if first < end:
        yield Piece(first, end - first, piece.skip_bytes)


def dump_bytes(memory_bytes: int) -> int:
    """The most that ``verify`` has in its folder at once, for a guest of so much memory: a piece of both sides'."""
    return 2 * min(CHUNK_BYTES, memory_bytes)


def _check_counters(both: Sequence[bytes]) -> Finding:
    """No page of the working set is older at the destination than it was at the source when that stopped."""
    before, after = (np.frombuffer(data, dtype="<u4") for data in both)
    older = np.flatnonzero(after < before)
    if len(older):
        page = int(older[0])
        return Finding(
            ok=False,
            line=f"{len(older)} working-set pages went back in time, first page {page}: write {before[page]} at the source, "
            f"{after[page]} at the destination",
        )
    writes = (int(counters.sum(dtype=np.uint64)) for counters in (before, after))
    return Finding(
        ok=True, line="working set: {:,} writes at the source's stop, {:,} at the end: none lost".format(*writes)
    )


class Dumped:
    """Guest-physical memory through ``pmemsave`` and ``file``, a path of the host's; it is removed each time."""

    def __init__(self, monitor: Monitor, host: Host, file: Path) -> None:
        self.monitor = monitor
        self._host = host
        self._file = file

    def digests(self, piece: Piece) -> bytes:
        """:raises QemuError: too little came."""
        try:
            self._save(piece.start, piece.bytes)
            found = self._host.call(page_digests, self._file, 0, piece.bytes, piece.skip_bytes)
        except OSError as exc:
            raise self._unread(exc) from exc
        finally:
            self._host.call(remove_files, [self._file])
        self._check(len(found) // DIGEST_BYTES * PAGE_BYTES, piece.bytes, piece.start)
        return found

    def read(self, start: int, size: int) -> bytes:
        """:raises QemuError: too little came."""
        try:
            self._save(start, size)
            found = self._host.call(read_part, self._file, 0, size)
        except OSError as exc:
            raise self._unread(exc) from exc
        finally:
            self._host.call(remove_files, [self._file])
        self._check(len(found), size, start)
        return found

    def _save(self, start: int, size: int) -> None:
        self.monitor.execute("pmemsave", val=start, size=size, filename=str(self._file))

    def _unread(self, exc: OSError) -> QemuError:
        return QemuError(f"{self._file}: cannot read the guest memory that QEMU saved: {exc.strerror}")

    def _check(self, count: int, size: int, start: int) -> None:
        if count != size:
            raise QemuError(f"{self._file}: QEMU saved {count} of {size} bytes from {start:#x}; disk full?")
