"""Plausible results of replays: codecs, and threads. See ``report_samples``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from report_samples import ENVIRONMENT, MIB, run, scenario, summarised

from harness.results.result import Result


def _replayed(
    name: str, description: str, methods: Sequence[dict[str, Any]], figures: Sequence[tuple[float, float]]
) -> Result:
    """``figures``: 10^6 bytes/s of the stream and its ratio, for each method."""
    random = np.random.default_rng(11)
    runs = []
    for method, (speed, ratio) in zip(methods, figures, strict=True):
        total_ms, pair = 346 / speed * 1e3, method["engine"] == "pageferry"
        cpu = 346 / speed * 1.8
        whole = (total_ms, 0, 346 / ratio, 346, 0, 0, 0, cpu if pair else 0, cpu / 4 if pair else 0)
        runs += [
            replace(run(random, method["name"], n, whole), stream_bytes=346_000_000, ratio=ratio) for n in range(1, 4)
        ]
    guest = {"kind": "stream", "path": "linux-1GiB.stream", "memory_bytes": 1024 * MIB}
    shape = scenario(
        methods,
        name=name,
        description=description,
        guest=guest,
        repeats=3,
        link={"kind": "relay", "bandwidth_bytes_per_s": None},
    )
    return summarised(Result(shape, ENVIRONMENT, tuple(runs)))


def codecs() -> Result:
    """Backends and levels on one replayed stream."""
    table = {
        "zlib": [(1, 160, 2.79), (6, 62, 2.98), (9, 24, 3.0)],
        "isal": [(0, 810, 2.86), (1, 760, 3.2), (2, 640, 3.28), (3, 410, 3.4)],
        "lz4": [(1, 950, 2.42)],
        "zstd": [(-5, 900, 2.5), (1, 640, 3.4), (3, 430, 3.66), (9, 92, 3.95)],
        "libdeflate": [(1, 400, 3.38), (6, 190, 3.55)],
    }
    methods: list[dict[str, Any]] = [{"name": "raw", "engine": "qemu", "baseline": True}]
    figures = [(1450.0, 1.0)]
    for backend, levels in table.items():
        for level, speed, ratio in levels:
            methods.append({"name": f"{backend}-{level}", "engine": "pageferry", "backend": backend, "level": level})
            figures.append((speed, ratio))
    return _replayed(
        "codecs", "Which backend and level moves one recorded stream fastest, and how small?", methods, figures
    )


def threads() -> Result:
    """Compression by decompression threads, two backends."""
    methods: list[dict[str, Any]] = [{"name": "raw", "engine": "qemu", "baseline": True}]
    figures = [(1450.0, 1.0)]
    for backend, level, compress, decompress, ratio in (("isal", 1, 440, 900, 3.2), ("zlib", 1, 88, 350, 2.8)):
        for many in (1, 2, 4, 8, 12):
            for few in (1, 2, 3, 4):
                name = f"{backend}-{level} {many}x{few}"
                methods.append(
                    {
                        "name": name,
                        "engine": "pageferry",
                        "backend": backend,
                        "level": level,
                        "threads": many,
                        "decompress_threads": few,
                    }
                )
                figures.append((min(compress * many**0.85, decompress * few**0.9, 2400), ratio))
    return _replayed(
        "threads",
        "How many decompression threads does each compression thread need: where does 4:1 hold?",
        methods,
        figures,
    )
