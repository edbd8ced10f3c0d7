"""Whether a migration moved every byte: the source's RAM against the destination's, and the guest's own check.

Knows QEMU only through a monitor that it is handed, and the guest only through the checks that it is handed. Slow on
purpose: it runs after the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.errors import QemuError
from harness.guests.compare import CHUNK_BYTES, Bytes, Finding, Piece, ReadBoth, Verdict, compare
from harness.qemu.memory import Block

__all__ = ["MemoryLayout", "Monitor", "Range", "dump_bytes", "read_memory", "verify"]


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
    source: Monitor,
    destination: Monitor,
    layout: MemoryLayout,
    dump_dir: Path,
    *,
    blocks: Sequence[Block] = (),
    guest_checks: Iterable[Verdict] = (),
) -> list[Verdict]:
    """Stop the destination's guest, compare both RAMs byte for byte, and add that to what the guest found itself.
    Several ``blocks`` are told of one by one.

    The source is paused since its migration completed, so its RAM is what had to arrive. Left to ``guest_checks`` is
    only what the guest goes on writing; they are consumed first, while the guest still runs and can answer.

    :raises QemuError: memory cannot be read. A difference is no error: it is the answer.
    """
    checks: list[Verdict] = list(guest_checks)
    destination.execute("stop")
    outside = [Piece(part.start, part.bytes) for part in layout.compare]
    inside = [Piece(part.start, part.bytes, layout.page_changed_bytes) for part in layout.working_set]
    with _reader(source, destination, dump_dir) as read_both:
        for what, pieces in (("outside the working set", outside), ("of working-set pages' unwritten parts", inside)):
            checks += [compare(own, read_both).told(what + where) for where, own in _by_block(pieces, blocks)]
        table = layout.private[-1]
        checks.append(_check_counters(read_both(Piece(table.start, table.bytes))))
    return checks


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


@contextmanager
def _reader(source: Monitor, destination: Monitor, dump_dir: Path) -> Iterator[ReadBoth]:
    """Reads both sides at once, by files in ``dump_dir``."""
    files = [dump_dir.resolve() / f"{name}.ram" for name in ("source", "destination")]
    with ThreadPoolExecutor(2, thread_name_prefix="verify") as pool:

        def read_both(where: Range) -> tuple[Bytes, Bytes]:
            expected, actual = pool.map(read_memory, (source, destination), (where, where), files)
            return expected, actual

        yield read_both


def _check_counters(both: tuple[Bytes, Bytes]) -> Finding:
    """No page of the working set is older at the destination than it was at the source when that stopped."""
    before, after = (data.view("<u4") for data in both)
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


def read_memory(monitor: Monitor, where: Range, file: Path) -> Bytes:
    """Guest-physical memory through ``pmemsave`` and ``file``, which is removed. :raises QemuError: too little came."""
    try:
        monitor.execute("pmemsave", val=where.start, size=where.bytes, filename=str(file))
        data = np.fromfile(file, dtype=np.uint8)
    except OSError as exc:
        raise QemuError(f"{file}: cannot read the guest memory that QEMU saved: {exc.strerror}") from exc
    finally:
        file.unlink(missing_ok=True)
    if len(data) != where.bytes:
        raise QemuError(f"{file}: QEMU saved {len(data)} of {where.bytes} bytes from {where.start:#x}; disk full?")
    return data
