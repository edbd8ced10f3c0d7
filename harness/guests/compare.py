"""Compares two memories piece by piece, and says what was found in words. Reads no memory itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.units import PAGE_BYTES

__all__ = ["CHUNK_BYTES", "Bytes", "Comparison", "Finding", "Piece", "ReadBoth", "Verdict", "compare"]

CHUNK_BYTES = 64 << 20
CONTEXT_BYTES = 8
Bytes = npt.NDArray[np.uint8]


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


ReadBoth = Callable[[Piece], tuple[Bytes, Bytes]]
"""What a piece holds at the source and at the destination."""


def compare(pieces: Sequence[Piece], read_both: ReadBoth, chunk_bytes: int = CHUNK_BYTES) -> Comparison:
    """Compare the pieces of two memories that stand still, ``chunk_bytes`` (whole pages) at a time."""
    compared = differing = 0
    first: tuple[int, str, str] | None = None
    for chunk in _chunks(pieces, chunk_bytes):
        expected, actual = read_both(chunk)
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


def _written_never(data: Bytes, skip_bytes: int) -> Bytes:
    return data.reshape(-1, PAGE_BYTES)[:, skip_bytes:]


def _chunks(pieces: Sequence[Piece], chunk_bytes: int) -> Iterable[Piece]:
    for piece in pieces:
        for offset in range(0, piece.bytes, chunk_bytes):
            yield Piece(piece.start + offset, min(chunk_bytes, piece.bytes - offset), piece.skip_bytes)
