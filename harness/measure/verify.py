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

__all__ = [
    "Check",
    "Comparison",
    "MemoryRange",
    "Monitor",
    "Verdict",
    "Verification",
    "compare_memory",
    "read_memory",
    "verify",
]

PAGE_BYTES = 4096
CHUNK_BYTES = 64 << 20
CONTEXT_BYTES = 8
Bytes = npt.NDArray[np.uint8]


class Monitor(Protocol):
    """A QMP connection: ``guests.qmp.Qmp`` is one."""

    def execute(self, command: str, /, **arguments: object) -> object:
        """Run one command."""


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """Guest-physical memory from ``start`` on."""

    start: int
    length_bytes: int


class Verdict(Protocol):
    """A check that was made: ``Check`` is one, and so is what a guest found out by itself."""

    @property
    def ok(self) -> bool:
        """Whether it passed."""

    @property
    def line(self) -> str:
        """What was checked and found, in words."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check that was made, in words."""

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

    def check(self, what: str) -> Check:
        """In words; ``what`` was compared, for example "outside the working set"."""
        if self.first is None:
            return Check(ok=True, line=f"compared {self.compared_bytes:,} bytes {what}: equal")
        return Check(
            ok=False,
            line=f"compared {self.compared_bytes:,} bytes {what}: {self.differing_pages} pages differ, first at address "
            f"{self.first:#x}: source {self.expected}, destination {self.actual}",
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """``ok`` only if every check is; ``lines`` says each."""

    ok: bool
    lines: tuple[str, ...]


def verify(
    source: Monitor,
    destination: Monitor,
    ranges: Sequence[MemoryRange],
    dump_dir: Path,
    *,
    guest_checks: Iterable[Verdict] = (),
) -> Verification:
    """Stop the destination's guest, compare ``ranges`` of both RAMs byte for byte, and join that with the guest's checks.

    The source is paused since its migration completed, so its RAM is what had to arrive. ``ranges`` are what the guest
    does not write. ``guest_checks`` are consumed first, while the guest still runs and can answer.

    :raises QemuError: memory cannot be read. A difference is no error: it is the answer.
    """
    checks: list[Verdict] = list(guest_checks)
    if not ranges:
        checks.append(Check(ok=False, line="no memory was compared: the guest's layout names no range for it"))
    destination.execute("stop")
    checks.append(compare_memory(source, destination, ranges, dump_dir).check("outside the working set"))
    return Verification(all(check.ok for check in checks), tuple(check.line for check in checks))


def compare_memory(
    source: Monitor,
    destination: Monitor,
    ranges: Sequence[MemoryRange],
    dump_dir: Path,
    chunk_bytes: int = CHUNK_BYTES,
) -> Comparison:
    """Compare guest-physical ranges of two paused guests, ``chunk_bytes`` at a time through files in ``dump_dir``."""
    compared = differing = 0
    first: tuple[int, str, str] | None = None
    with ThreadPoolExecutor(2, thread_name_prefix="verify") as pool:
        for chunk in _chunks(ranges, chunk_bytes):
            files = (dump_dir.resolve() / f"{name}.ram" for name in ("source", "destination"))
            expected, actual = pool.map(read_memory, (source, destination), (chunk, chunk), files)
            compared += chunk.length_bytes
            if np.array_equal(expected, actual):
                continue
            offsets = np.flatnonzero(expected != actual)
            differing += len(np.unique((offsets + chunk.start) // PAGE_BYTES))
            if first is None:
                here = slice(int(offsets[0]), int(offsets[0]) + CONTEXT_BYTES)
                first = (chunk.start + here.start, expected[here].tobytes().hex(), actual[here].tobytes().hex())
    return Comparison(compared, differing, *(first or (None,)))


def read_memory(monitor: Monitor, where: MemoryRange, file: Path) -> Bytes:
    """Guest-physical memory through ``pmemsave`` and ``file``, which is removed. :raises QemuError: too little came."""
    try:
        monitor.execute("pmemsave", val=where.start, size=where.length_bytes, filename=str(file))
        data = np.fromfile(file, dtype=np.uint8)
    except OSError as exc:
        raise QemuError(f"{file}: cannot read the guest memory that QEMU saved: {exc.strerror}") from exc
    finally:
        file.unlink(missing_ok=True)
    if len(data) != where.length_bytes:
        raise QemuError(
            f"{file}: QEMU saved {len(data)} of {where.length_bytes} bytes from {where.start:#x}; disk full?"
        )
    return data


def _chunks(ranges: Sequence[MemoryRange], chunk_bytes: int) -> Iterable[MemoryRange]:
    for part in ranges:
        for offset in range(0, part.length_bytes, chunk_bytes):
            yield MemoryRange(part.start + offset, min(chunk_bytes, part.length_bytes - offset))
