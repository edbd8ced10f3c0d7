"""How fast the stream parser is: ``python tests/benchmarks/wire.py`` prints GB/s of stream, medians of 7, one thread.

Long runs of raw pages, raw and zero pages alternating at random, long runs of zero pages; then split and join of a batch.
"""

from __future__ import annotations

import statistics
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import sample_streams

from harness.wire.batch import PageBatch, join, split
from harness.wire.qemu.stream import QStreamParser

ROUNDS = 7
REPEAT = 200


def again(action: Callable[..., object], *arguments: object) -> None:
    """``REPEAT`` calls; each result is dropped, so that its memory serves the next one, as in the pipeline."""
    for _ in range(REPEAT):
        action(*arguments)


def stream_of(raw: np.ndarray) -> bytes:
    """A stream whose page i is raw (random bytes) where ``raw[i]``, else zero."""
    page = np.random.default_rng(1).bytes(4096)
    records = [
        struct.pack(">Q", i << 12 | 0x28) + page if is_raw else struct.pack(">Q", i << 12 | 0x22) + b"\0"
        for i, is_raw in enumerate(raw.tolist())
    ]
    first = sample_streams.zero_page(0, 0, "pc.ram")
    return (
        sample_streams.header()
        + sample_streams.config()
        + sample_streams.start_ram([("pc.ram", 1 << 34)])
        + sample_streams.part(first, *records)
    )


def parse(data: memoryview) -> list[PageBatch]:
    """The whole stream in reads of the parser's own buffer, as the sender does it."""
    parser, at, batches = QStreamParser(), 0, []
    while at < len(data):
        room = parser.get_buffer()
        count = min(len(room), len(data) - at)
        room[:count] = data[at : at + count]
        parser.buffer_updated(count)
        at += count
        while (batch := parser.next_batch()) is not None:
            batches = [batch]
    assert parser.opaque_reason is None
    return batches


def rate(action: Callable[[], object], count: int) -> str:
    """Median and range of ``count`` bytes over the time of ``action``, in GB/s."""
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        rates.append(count / (time.perf_counter() - started) / 1e9)
    return f"{statistics.median(rates):6.2f} GB/s   ({min(rates):.2f} to {max(rates):.2f}, n={ROUNDS})"


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(7)
    shapes = {
        "long runs of raw pages": np.ones(50_000, dtype=bool),
        "raw and zero at random": rng.integers(0, 2, 100_000).astype(bool),
        "long runs of zero pages": np.zeros(2_000_000, dtype=bool),
    }
    for name, shape in shapes.items():
        data = memoryview(stream_of(shape))
        print(f"parse  {name:26} {rate(partial(parse, data), len(data))}")
        (batch,) = parse(data)[-1:]
        if batch.runs:
            plan, pages = split(batch)
            many = REPEAT * batch.raw_bytes
            print(f"split  {name:26} {rate(partial(again, split, batch), many)}")
            print(f"join   {name:26} {rate(partial(again, join, plan, pages, batch.raw_bytes, 4096), many)}")


if __name__ == "__main__":
    main()
