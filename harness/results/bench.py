"""What ``pageferry bench`` measured: plain data with units, and its JSON. Schema 1: fields are added, never renamed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.results.document import Document, Scalar
from harness.results.inference import median_interval

__all__ = ["SCHEMA", "Bench", "BenchCell", "Middle", "dump_bench", "load_bench", "middle", "save_bench"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Middle:
    """A median with the interval that holds it."""

    value: float
    low: float
    high: float


def middle(values: Sequence[float]) -> Middle:
    """Of a cell's values, one for each round."""
    interval = median_interval(values)
    return Middle(statistics.median(values), interval.low, interval.high)


@dataclass(frozen=True, slots=True)
class BenchCell:
    """A codec and level, a unit's size and a number of threads. Seconds are for one pass over all input, one a round."""

    codec: str
    """As it is written: ``zstd:3``."""
    backend: str
    level: int | None
    unit_bytes: int
    threads: int
    packed_bytes: int
    loops: int
    """So many passes over the input make one value."""
    compress_s: tuple[float, ...]
    decompress_s: tuple[float, ...]
    compress_cpu_s: tuple[float, ...]

    @property
    def place(self) -> tuple[int, int]:
        """What it is compared within: unit and threads."""
        return self.unit_bytes, self.threads


@dataclass(frozen=True, slots=True)
class Bench:
    """The whole. ``baseline``: the codec that the others' speed is given against, in the same round, unit and threads."""

    subject: str
    raw_bytes: int
    baseline: str
    cells: tuple[BenchCell, ...]
    started_at: str
    missing: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    schema: int = SCHEMA

    def ratio(self, cell: BenchCell) -> float:
        """Input over output."""
        return self.raw_bytes / max(1, cell.packed_bytes)

    def rate(self, seconds: Sequence[float]) -> Middle:
        """Bytes of input a second."""
        return middle([self.raw_bytes / each for each in seconds])

    def times_baseline(self, cell: BenchCell) -> Middle | None:
        """How many times as fast as the baseline it compressed, round by round; None of the baseline itself."""
        reference = next(each for each in self.cells if each.codec == self.baseline and each.place == cell.place)
        if cell is reference:
            return None
        return middle([base / own for base, own in zip(reference.compress_s, cell.compress_s, strict=True)])

    def front(self, cells: Sequence[BenchCell], way: Literal["compress_s", "decompress_s"]) -> tuple[BenchCell, ...]:
        """Those of ``cells`` than which no other is both faster and smaller (Pareto's front), by falling speed."""
        fastest_first = sorted(cells, key=lambda cell: statistics.median(getattr(cell, way)))
        found: list[BenchCell] = []
        for cell in fastest_first:
            if not found or cell.packed_bytes < found[-1].packed_bytes:
                found.append(cell)
        return tuple(found)


_DOCUMENT = Document(Bench, "bench", SCHEMA)
dump_bench, save_bench, load_bench = _DOCUMENT.dump, _DOCUMENT.save, _DOCUMENT.read
