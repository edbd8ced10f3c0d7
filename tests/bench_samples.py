"""A plausible bench: three codecs and memcpy in two places, six rounds on a machine that slowed down meanwhile."""

from __future__ import annotations

from harness.results.bench import Bench, BenchCell

RAW_BYTES = 32 << 20
ROUNDS = 6
# codec: MiB/s of one thread to compress and to restore, ratio
CODECS = {
    "memcpy": (8000.0, 8000.0, 1.0),
    "zlib:1": (80.0, 240.0, 2.8),
    "isal:1": (450.0, 480.0, 3.2),
    "zstd:1": (400.0, 900.0, 3.4),
}


def cell(codec: str, unit_bytes: int, threads: int) -> BenchCell:
    backend, _, level = codec.partition(":")
    pack, restore, ratio = CODECS[codec]
    slower = [1 + number / 10 for number in range(ROUNDS)]  # the machine, by as much for every codec
    seconds = RAW_BYTES / (1 << 20) / threads
    return BenchCell(
        codec,
        backend,
        int(level) if level else None,
        unit_bytes,
        threads,
        round(RAW_BYTES / ratio),
        1,
        tuple(seconds / pack * each for each in slower),
        tuple(seconds / restore * each for each in slower),
        tuple(seconds * threads / pack * each for each in slower),
    )


def bench(**changes) -> Bench:
    values = {
        "subject": "generated pages",
        "raw_bytes": RAW_BYTES,
        "baseline": "zlib:1",
        "cells": tuple(cell(codec, 65536, threads) for threads in (1, 2) for codec in CODECS),
        "started_at": "2026-11-28T03:00:00+00:00",
        "missing": {"qatzip": "libqatzip does not load"},
        "environment": {"cpu_model": "AMD EPYC 7543", "cores": 2},
    }
    return Bench(**{**values, **changes})
