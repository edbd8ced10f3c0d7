"""Whether a migration moved every byte: the source's RAM against the destination's, and the guest's own check.

Knows QEMU only through a monitor that it is handed, and the guest only through the checks that it is handed. Slow on
purpose: it runs after the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.errors import QemuError
from harness.units import PAGE_BYTES

__all__ = [
    "Comparison",
    "Finding",
    "MemoryLayout",
    "Monitor",
    "Piece",
    "Range",
    "Verdict",
    "compare_memory",
    "dump_bytes",
    "read_memory",
    "verify",
]

CHUNK_BYTES = 64 << 20
CONTEXT_BYTES = 8
Bytes = npt.NDArray[np.uint8]


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


@dataclass(frozen=True, slots=True)
class Piece:
    """Memory to compare; the first ``skip_bytes`` of each page are not."""

    start: int
    bytes: int
    skip_bytes: int = 0


class Verdict(Protocol):
    """Of a check: ``Finding`` is one, and so is what a guest found out by itself."""

    @property
    def ok(self) -> bool:
        """Whether it passed."""

    @property
    def line(self) -> str:
        """What was checked and found, in words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in words."""

    ok: bool
    line: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``first``: the lowest guest-physical address that differs, with a few bytes from there on, as hex."""

    compared_bytes: int
    differing_pages: int
    first: int | None = None
    expected: str = ""
    actual: str = ""

    def told(self, what: str) -> Finding:
        """In words; ``what`` was compared, for example "outside the working set"."""
        if self.first is None:
            return Finding(ok=True, line=f"compared {self.compared_bytes:,} bytes {what}: equal")
        return Finding(
            ok=False,
            line=f"compared {self.compared_bytes:,} bytes {what}: {self.differing_pages} pages differ, first at address "
            f"{self.first:#x}: source {self.expected}, destination {self.actual}",
        )


def verify(
    source: Monitor,
    destination: Monitor,
    layout: MemoryLayout,
    dump_dir: Path,
    *,
    guest_checks: Iterable[Verdict] = (),
) -> list[Verdict]:
    """Stop the destination's guest, compare both RAMs byte for byte, and add that to what the guest found itself.

    The source is paused since its migration completed, so its RAM is what had to arrive. Left to ``guest_checks`` is
    only what the guest goes on writing; they are consumed first, while the guest still runs and can answer.

    :raises QemuError: memory cannot be read. A difference is no error: it is the answer.
    """
    checks: list[Verdict] = list(guest_checks)
    destination.execute("stop")
    outside = [Piece(part.start, part.bytes) for part in layout.compare]
    inside = [Piece(part.start, part.bytes, layout.page_changed_bytes) for part in layout.working_set]
    checks.append(compare_memory(source, destination, outside, dump_dir).told("outside the working set"))
    checks.append(compare_memory(source, destination, inside, dump_dir).told("of working-set pages' unwritten parts"))
    checks.append(_check_counters(source, destination, layout.private[-1], dump_dir))
    return checks


def dump_bytes(memory_bytes: int) -> int:
    """The most that ``verify`` has in its folder at once, for a guest of so much memory: a piece of both sides'."""
    return 2 * min(CHUNK_BYTES, memory_bytes)


def compare_memory(
    source: Monitor,
    destination: Monitor,
    pieces: Sequence[Piece],
    dump_dir: Path,
    chunk_bytes: int = CHUNK_BYTES,
) -> Comparison:
    """Compare the pieces of two paused guests' memories, ``chunk_bytes`` (whole pages) at a time, by files in ``dump_dir``."""
    compared = differing = 0
    first: tuple[int, str, str] | None = None
    with ThreadPoolExecutor(2, thread_name_prefix="verify") as pool:
        for chunk in _chunks(pieces, chunk_bytes):
            expected, actual = _both(source, destination, chunk, dump_dir, pool)
            expected_parts, actual_parts = (_written_never(data, chunk.skip_bytes) for data in (expected, actual))
            compared += expected_parts.size
            if np.array_equal(expected_parts, actual_parts):
                continue
            pages, offsets = np.nonzero(expected_parts != actual_parts)
            differing += len(np.unique(pages))
            if first is None:
                at = int(pages[0]) * PAGE_BYTES + chunk.skip_bytes + int(offsets[0])
                here = slice(at, at + CONTEXT_BYTES)
                first = (chunk.start + at, expected[here].tobytes().hex(), actual[here].tobytes().hex())
    return Comparison(compared, differing, *(first or (None,)))


def _both(source: Monitor, destination: Monitor, where: Range, dump_dir: Path, pool: ThreadPoolExecutor) -> list[Bytes]:
    files = (dump_dir.resolve() / f"{name}.ram" for name in ("source", "destination"))
    return list(pool.map(read_memory, (source, destination), (where, where), files))


def _written_never(data: Bytes, skip_bytes: int) -> Bytes:
    return data.reshape(-1, PAGE_BYTES)[:, skip_bytes:]


def _check_counters(source: Monitor, destination: Monitor, table: Range, dump_dir: Path) -> Finding:
    """No page of the working set is older at the destination than it was at the source when that stopped."""
    with ThreadPoolExecutor(2, thread_name_prefix="verify") as pool:
        before, after = (data.view("<u4") for data in _both(source, destination, table, dump_dir, pool))
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


def _chunks(pieces: Sequence[Piece], chunk_bytes: int) -> Iterable[Piece]:
    for piece in pieces:
        for offset in range(0, piece.bytes, chunk_bytes):
            yield Piece(piece.start + offset, min(chunk_bytes, piece.bytes - offset), piece.skip_bytes)
