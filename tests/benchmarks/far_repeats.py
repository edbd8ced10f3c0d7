"""How much a long window can save on a recording: ``python tests/benchmarks/far_repeats.py [RECORDING ...] [--level N]``.

Of the pages that are not zero: which bytes stand in a repeat of 32 bytes or more whose last earlier place lies in another batch of
1 MiB, where a codec that packs each batch alone cannot look? Sizes are relative to that codec's, zstd in batches: of ``zstd-long``,
of zstd's densest search over everything, and of the rest in batches, as if far repeats cost nothing. Sizes depend on nothing but
the recording and zstd's version.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt
import zstandard

import scenarios
from backends import registry
from harness.bench.pages import read_pages
from harness.units import MIB, PAGE_BYTES

BATCH_BYTES = MIB
LEAST_BYTES = 32
"""A repeat's least length; a power of two."""
NEAR_BYTES = 8 * MIB
_SEED = 1
_MULTIPLIER = 0x9E3779B97F4A7C15
_WRAP = 1 << 64

Flags = npt.NDArray[np.bool_]


def far_repeats(last: npt.NDArray[np.int64], least_distance_bytes: int = 0) -> Flags:
    """Of each byte, whether it is in a repeat whose last earlier place lies in another batch, and at least so far away.

    ``last``: as ``last_places`` tells.
    """
    at = np.arange(len(last))
    far = (last >= 0) & (last // BATCH_BYTES != at // BATCH_BYTES) & (at - last >= least_distance_bytes)
    open_ones = np.zeros(len(last) + LEAST_BYTES, dtype=np.int64)
    open_ones[:-LEAST_BYTES] += far
    open_ones[LEAST_BYTES:] -= far
    return np.cumsum(open_ones)[:-1] > 0


def last_places(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """For each place, the last one before it with the same 32 bytes from there on (by 64 bits of hash); -1: there is none."""
    hashes = _hashes(data)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    last = np.full(len(hashes), -1, dtype=np.int64)
    last[order[1:][same]] = order[:-1][same]
    return last


def _hashes(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Of the 32 bytes from each place on: those of twice as many bytes are made of two, until there are enough."""
    found = np.random.default_rng(_SEED).integers(0, _WRAP, 256, dtype=np.uint64)[data]
    size, factor = 1, _MULTIPLIER
    while size < LEAST_BYTES:
        found = found[:-size] * np.uint64(factor) + found[size:]
        size, factor = 2 * size, factor * factor % _WRAP
    return found


def in_batches(data: npt.NDArray[np.uint8], level: int, kept: Flags | None = None) -> int:
    """Bytes that zstd makes of it, each batch alone; of each only what is ``kept``."""
    zstd = registry.create("zstd", level)
    total = 0
    for at in range(0, len(data), BATCH_BYTES):
        batch = data[at : at + BATCH_BYTES]
        total += len(zstd.compress((batch if kept is None else batch[kept[at : at + BATCH_BYTES]]).tobytes()))
    return total


def with_history(data: npt.NDArray[np.uint8], level: int) -> int:
    """What the pair's ``zstd-long`` makes of it, one batch after the other."""
    zstd = registry.create("zstd-long", level)
    return sum(len(zstd.compress(data[at : at + BATCH_BYTES].tobytes())) for at in range(0, len(data), BATCH_BYTES))


def densest(data: npt.NDArray[np.uint8], level: int) -> int:
    """zstd over everything, which looks for repeats from 32 bytes on at each byte, in 64 places for each hash."""
    asked = zstandard.ZstdCompressionParameters.from_level(
        level,
        window_log=30,
        enable_ldm=True,
        ldm_hash_log=27,
        ldm_hash_rate_log=0,
        ldm_min_match=LEAST_BYTES,
        ldm_bucket_size_log=6,
    )
    return len(zstandard.ZstdCompressor(compression_params=asked).compress(data.tobytes()))


def main() -> None:
    """Print the table of docs/recordings.md."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("recordings", nargs="*", default=list(scenarios.recording_names()), metavar="RECORDING")
    parser.add_argument("--level", type=int, choices=range(1, 13), default=1, help="of zstd, in all columns [1]")
    parser.add_argument("--most", type=int, default=1 << 30, metavar="BYTES", help="of pages looked at [1 GiB]")
    options = parser.parse_args()
    print(f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}, level {options.level}")
    print(
        "| recording | MiB | in far repeats | 8 MiB or more away | `zstd-long` | the densest search | far repeats at no cost |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.recordings:
        data = np.frombuffer(read_pages(name, options.most // PAGE_BYTES * PAGE_BYTES).data, dtype=np.uint8)
        last = last_places(data)
        far, farther = far_repeats(last), far_repeats(last, NEAR_BYTES)
        base = in_batches(data, options.level)
        sizes = with_history(data, options.level), densest(data, options.level), in_batches(data, options.level, ~far)
        shares = f"{far.mean():.1%} | {farther.mean():.1%}"
        print(f"| `{name}` | {len(data) / MIB:.1f} | {shares} | {' | '.join(f'{size / base:.2f}' for size in sizes)} |")


if __name__ == "__main__":
    main()
