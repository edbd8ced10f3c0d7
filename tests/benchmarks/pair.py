"""What the pair costs beside the codec alone: ``python tests/benchmarks/pair.py [STREAM] [REPEATS]``, medians of 7, interleaved.

The stream (a recording, or a generated guest of 512 MiB) is replayed from a feeder through sender and receiver into a sink, without
a link limit, and its batches are compressed in memory by as many threads, and restored. ``pair/codec`` is the rate of the pair as a
share of the codec's alone: compressing with its threads, and restoring with its. Where sender, receiver, feeder and sink share
fewer cores than they have threads, the pair cannot reach the codec: ``pair/cores`` is its share of what the cores would allow if
all of them did nothing but compress and restore.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from backends import registry
from harness.experiment.trial import Lab
from harness.migrator.session import keep_freed_memory
from harness.results.cache import cache_dir
from harness.scenario.methods import PairMethod
from harness.scenario.model import load_scenario
from harness.streams.synthetic import StreamSpec, synthetic_stream
from harness.wire.qemu.stream import QStreamParser

MIX = {"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1}
CODECS = (("none", None), ("lz4", None), ("isal", 1), ("zstd", 1), ("zstd", 3))
THREADS = (1, 2)
HEAD = ("threads", "compress MB/s", "restore MB/s", "pair MB/s", "pair/codec", "pair/cores", "range of pair")
SCENARIO = """
description = "the pair beside the codec alone"
[guest]
kind = "stream"
path = "{}"
[link]
bandwidth = "unlimited"
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
"""


def batches_of(path: Path) -> list[memoryview]:
    """As a sender's parser cuts them for a codec of the CPU."""
    parser, cut = QStreamParser(1 << 20), []
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(parser.get_buffer()):
            parser.buffer_updated(count)
            while (batch := parser.next_batch()) is not None:
                cut.append(memoryview(bytes(batch.raw)))
    if (last := parser.finish()) is not None:
        cut.append(memoryview(bytes(last.raw)))
    return cut


def spread(work: Callable[[int], object], count: int, threads: int) -> float:
    """Seconds that ``threads`` threads take for ``work(0)`` to ``work(count - 1)``."""
    numbers: SimpleQueue[int] = SimpleQueue()
    for number in range(count):
        numbers.put(number)

    def run() -> None:
        while True:
            try:
                number = numbers.get_nowait()
            except Empty:
                return
            work(number)

    hands = [threading.Thread(target=run) for _ in range(threads)]
    began_s = time.perf_counter()
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    return time.perf_counter() - began_s


def alone(name: str, level: int | None, batches: Sequence[memoryview], threads: int) -> tuple[float, float]:
    """Bytes a second compressed, and restored, in memory."""
    own = threading.local()

    def backend() -> registry.Backend:
        if not hasattr(own, "backend"):
            own.backend = registry.create(name, level)
        return own.backend

    total = sum(map(len, batches))
    packed: list[object] = [None] * len(batches)

    def compress(number: int) -> None:
        packed[number] = backend().compress(batches[number])

    compress_s = spread(compress, len(batches), threads)
    restore_s = spread(lambda n: backend().decompress(memoryview(packed[n]), len(batches[n])), len(batches), threads)
    return total / compress_s, total / restore_s


def measured(lab: Lab, stream: Path, repeats: int, logs: Path) -> dict[tuple[str, int], list[tuple[float, ...]]]:
    """Of each codec and number of threads: bytes a second of the pair, of compressing alone and of restoring alone, each time."""
    batches, total = batches_of(stream), stream.stat().st_size
    alone("none", None, batches, 1)  # memory that is touched first is slow
    seen: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for _, (name, level), threads in itertools.product(range(repeats), CODECS, THREADS):
        label = name if level is None else f"{name}-{level}"
        method = PairMethod(name=label, backend=name, level=level, threads=threads, decompress_threads=threads)
        run = lab.run(method, logs, lambda _: None)
        if not run.verified or run.total_time_s is None:
            raise SystemExit(f"{label}: {run.reason}")
        rates = (total / run.total_time_s, *alone(name, level, batches, threads))
        seen.setdefault((label, threads), []).append(rates)
    return seen


def row(rates: Sequence[tuple[float, ...]], threads: int, cores: int) -> tuple[str, ...]:
    """Of the table."""
    pair, compress, restore = (statistics.median(column) / 1e6 for column in zip(*rates, strict=True))
    by_codec = statistics.median(p / min(c, r) for p, c, r in rates)
    by_cores = statistics.median(p * threads * (1 / c + 1 / r) / cores for p, c, r in rates)
    span = f"{min(p for p, *_ in rates) / 1e6:.0f} to {max(p for p, *_ in rates) / 1e6:.0f}"
    return f"{threads}", f"{compress:.0f}", f"{restore:.0f}", f"{pair:.0f}", f"{by_codec:.2f}", f"{by_cores:.2f}", span


def show(label: str, cells: Sequence[str]) -> None:
    print(
        f"{label:10}", *(f"{cell:>{len(head)}}" for cell, head in zip(cells, HEAD, strict=True)), sep="   ", flush=True
    )


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    keep_freed_memory()
    if len(sys.argv) > 1:
        stream = Path(sys.argv[1]).resolve()
    else:
        stream = synthetic_stream(StreamSpec(512 << 20, MIX, 1, 64 << 20, 20 << 20, "mixed", 64), cache_dir()).path
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        scenario = Path(folder) / "pair.toml"
        scenario.write_text(SCENARIO.format(stream))
        with Lab(load_scenario(scenario)) as lab:
            seen = measured(lab, stream, repeats, Path(folder))
    print(f"{stream.stat().st_size / 1e6:.0f} MB, {cores} cores, n={repeats}")
    show("", HEAD)
    for (label, threads), rates in seen.items():
        show(label, row(rates, threads, cores))


if __name__ == "__main__":
    main()
