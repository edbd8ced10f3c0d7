"""Compares two memories by a digest of each page, and says what was found in words. Reads no memory itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.hosts.files import DIGEST_BYTES
from harness.units import PAGE_BYTES

CHUNK_BYTES = 64 << 20
CONTEXT_BYTES = 8


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


class Memory(Protocol):
    """One side's, which stands still; on whichever host it is."""

    def digests(self, piece: Piece) -> bytes:
        """``hosts.files.page_digests`` of it."""

    def read(self, start: int, size: int) -> bytes:
        """What is there."""


def compare(pieces: Sequence[Piece], sides: Sequence[Memory], chunk_bytes: int = CHUNK_BYTES) -> Comparison:
    """Compare the pieces of the source's and the destination's memory, ``chunk_bytes`` (whole pages) at a time."""
    compared = differing = 0
    first: tuple[int, str, str] | None = None
    with ThreadPoolExecutor(len(sides), thread_name_prefix="compare") as pool:
        for chunk in _chunks(pieces, chunk_bytes):
            both = [np.frombuffer(told, dtype="<u8") for told in pool.map(lambda side: side.digests(chunk), sides)]  # noqa: B023 - done within the turn
            pages = np.flatnonzero((both[0] != both[1]).reshape(-1, DIGEST_BYTES // 8).any(axis=1))
            compared += chunk.bytes // PAGE_BYTES * (PAGE_BYTES - chunk.skip_bytes)
            differing += len(pages)
            if first is None and len(pages):
                first = _difference(chunk.start + int(pages[0]) * PAGE_BYTES, chunk.skip_bytes, sides)
    return Comparison(compared, differing, *(first or (None,)))


def _difference(page: int, skip_bytes: int, sides: Sequence[Memory]) -> tuple[int, str, str]:
    """The first address in that page at which they differ, and what each has there."""
    expected, actual = (side.read(page, PAGE_BYTES) for side in sides)
    differs = (offset for offset in range(skip_bytes, PAGE_BYTES) if expected[offset] != actual[offset])
    at = next(differs)
    here = slice(at, at + CONTEXT_BYTES)
    return page + at, expected[here].hex(), actual[here].hex()


def _chunks(pieces: Sequence[Piece], chunk_bytes: int) -> Iterable[Piece]:
    for piece in pieces:
        for offset in range(0, piece.bytes, chunk_bytes):
            yield Piece(piece.start + offset, min(chunk_bytes, piece.bytes - offset), piece.skip_bytes)
