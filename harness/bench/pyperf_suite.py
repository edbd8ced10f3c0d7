"""Cells as pyperf's benchmarks: ``isal:1/64KiB/2 threads/compress``, one run a round with one value: seconds for the whole input.

pyperf's own Runner is not used: it takes all values of one benchmark before it begins with the next, each in a process that would
read the input again, so that a machine that becomes slower meanwhile changes the ratios between codecs. Its result classes carry
everything that its tools ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyperf

from harness.experiment.pyperf_export import Metadata, machine_facts, pyperf_date, save_suite
from harness.results.bench import Bench, BenchCell
from harness.units import format_bytes


def write_pyperf_suite(bench: Bench, path: Path) -> None:
    """:raises ResultError: it cannot be written."""
    save_suite([each for cell in bench.cells for each in _benchmarks(bench, cell)], path)


def _benchmarks(bench: Bench, cell: BenchCell) -> list[pyperf.Benchmark]:
    unit = format_bytes(cell.unit_bytes).replace(" ", "")
    threads = "1 thread" if cell.threads == 1 else f"{cell.threads} threads"
    about: Metadata = {
        **machine_facts(bench.environment),
        "input": bench.subject,
        "input_bytes": bench.raw_bytes,
        "compression_ratio": round(bench.ratio(cell), 4),
        "unit": "second",
        "loops": cell.loops,
        "date": pyperf_date(bench.started_at),
    }
    ways = (("compress", cell.compress_s), ("decompress", cell.decompress_s))
    return [_benchmark(f"{cell.codec}/{unit}/{threads}/{way}", seconds, about) for way, seconds in ways]


def _benchmark(name: str, seconds: Sequence[float], about: Metadata) -> pyperf.Benchmark:
    runs = []
    for value in seconds:
        own = about | {"name": name, "duration": value * int(about["loops"])}
        runs.append(pyperf.Run([value], metadata=own, collect_metadata=False))
    return pyperf.Benchmark(runs)
