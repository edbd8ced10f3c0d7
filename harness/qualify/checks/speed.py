"""How fast: the surface of rates over unit size, threads and level, with its knee; and how long a batch takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.api import MAX_BATCH_BYTES
from harness.hosts.limits import cores
from harness.qualify.check import Bench, Check, Found, Value, check
from harness.qualify.load import compress, measure_rate, require_forgetful, slices
from harness.units import MIB

CHECKS: list[Check] = []

_KNEE_SHARE = 0.9
_PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9)
_UNITS = (4096, 16384, 65536, 262_144, 1 << 20)


@dataclass(frozen=True, slots=True)
class _Point:
    """Where on the surface."""

    unit_bytes: int
    threads: int
    level: int | None


@check(
    CHECKS,
    "speed.surface",
    "it reaches the rates asked for; how large and how many its batches must be for that",
    "two averages hide that offload pays only with large batches and several under way",
    limit_s=120,
)
def _surface(bench: Bench) -> Found:
    require_forgetful(bench)
    seconds = 0.12 if bench.quick else 0.5
    rows: list[dict[str, Any]] = []
    for point in _points(bench):
        rows += [
            {"direction": direction, "unit_bytes": point.unit_bytes, "threads": point.threads, "level": point.level,
             "mib_per_s": round(rate, 2)}
            for direction, rate in _rates(bench, point, seconds)
        ]  # fmt: skip
    knees = [_knee(rows, direction) for direction in ("compress", "decompress")]
    sentences = [
        f"{knee['direction']} {knee['best_mib_per_s']:.0f} MiB/s at best; {knee['share_of_best'] * 100:.0f} % of it from "
        f"{knee['unit_bytes'] >> 10} KiB x {knee['threads']} threads on"
        for knee in knees
    ]
    values = tuple(Value(f"{knee['direction']}_mib_per_s", knee["best_mib_per_s"], "MiB/s") for knee in knees)
    return Found("; ".join(sentences), values, {"surface": rows, "knee": knees})


def _points(bench: Bench) -> Iterator[_Point]:
    """Every unit with every number of threads, each of which has one batch under way; other levels in the full profile."""
    info = bench.info
    units = sorted({*_UNITS, info.batch_bytes, *(() if bench.quick else (MAX_BATCH_BYTES,))})
    threads = sorted({1, cores(), *(() if info.device == "cpu" and bench.quick else (cores() + 1,))})
    levels: list[int | None] = [bench.job.level if bench.job.level is not None else info.default_level]
    if not bench.quick and info.levels:
        levels += [level for level in info.levels if level not in levels]
    for level in levels:
        for unit_bytes in units:
            for count in threads:
                yield _Point(unit_bytes, count, level)


def _rates(bench: Bench, point: _Point, seconds: float) -> Iterator[tuple[str, float]]:
    with ExitStack() as stack:
        instances = [bench.cls(point.level, **bench.job.options) for _ in range(point.threads)]
        for instance in instances:
            stack.callback(instance.close)
            instance.open()
        units = slices(point.unit_bytes)
        warm = [bytes(one) for one in map(instances[0].compress, units[: min(len(units), 64)])]
        yield "compress", measure_rate(instances, units, compress, seconds).mib_per_s
        restored = measure_rate(
            instances, warm, lambda instance, packed: len(instance.decompress(packed, point.unit_bytes)), seconds
        )
        yield "decompress", restored.calls * point.unit_bytes / restored.elapsed_s / MIB


def _knee(rows: Sequence[dict[str, Any]], direction: str) -> dict[str, Any]:
    """The least under way that reaches nearly the best rate at the first level."""
    mine = [row for row in rows if row["direction"] == direction and row["level"] == rows[0]["level"]]
    best = max(row["mib_per_s"] for row in mine)
    near = [row for row in mine if row["mib_per_s"] >= _KNEE_SHARE * best]
    first = min(near, key=lambda row: (row["unit_bytes"] * row["threads"], row["threads"]))
    return {
        **{key: first[key] for key in ("direction", "unit_bytes", "threads", "mib_per_s")},
        "share_of_best": round(first["mib_per_s"] / best, 3),
        "best_mib_per_s": best,
    }


@check(
    CHECKS,
    "speed.latency",
    "a batch is back in time, the slowest of a thousand too",
    "the last batches of a migration are compressed while the guest stands still: a slow tail is downtime",
    limit_s=90,
)
def _latency(bench: Bench) -> Found:
    require_forgetful(bench)
    seconds = 1.6 if bench.quick else 30.0
    rows, curve, values = [], [], []
    for unit_bytes in sorted({65536, bench.info.batch_bytes}):
        for direction, times_s in _times(bench, unit_bytes, seconds):
            row, points = _percentiles(direction, unit_bytes, times_s)
            rows.append(row)
            curve += points
            if unit_bytes == 65536 and direction == "compress":
                values = [
                    Value(f"latency_{name}_ms", row[f"{name}_ms"], "ms") for name in ("p50", "p95", "p99", "p999")
                ]
    first = rows[0]
    evidence = (
        f"{first['n']} batches of 64 KiB, one at a time: p50 {first['p50_ms']:.2f}, p95 {first['p95_ms']:.2f}, "
        f"p99 {first['p99_ms']:.2f}, p99.9 {first['p999_ms']:.2f}, worst {first['worst_ms']:.2f} ms"
    )
    return Found(evidence, tuple(values), {"percentiles": rows, "curve": curve})


def _times(bench: Bench, unit_bytes: int, seconds: float) -> Iterator[tuple[str, list[float]]]:
    units = slices(unit_bytes)
    with bench.opened() as instance:
        packed = [bytes(instance.compress(unit)) for unit in units[:32]]
        yield "compress", _timed(lambda number: instance.compress(units[number % len(units)]), seconds)
        yield (
            "decompress",
            _timed(lambda number: instance.decompress(packed[number % len(packed)], unit_bytes), seconds / 3),
        )


def _timed(call: Callable[[int], object], seconds: float) -> list[float]:
    """Seconds of each call. Python's collector waits: its pauses are not the backend's."""
    times_s: list[float] = []
    gc.collect()
    gc.disable()
    try:
        deadline_s = time.perf_counter() + seconds
        before_s = time.perf_counter()
        while before_s < deadline_s:
            call(len(times_s))
            now_s = time.perf_counter()
            times_s.append(now_s - before_s)
            before_s = now_s
    finally:
        gc.enable()
    return times_s


def _percentiles(
    direction: str, unit_bytes: int, times_s: Sequence[float]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    ms = np.array(times_s) * 1e3
    found = {percentile: round(float(np.percentile(ms, percentile)), 4) for percentile in _PERCENTILES}
    where = {"direction": direction, "unit_bytes": unit_bytes}
    named = {"p50_ms": found[50], "p95_ms": found[95], "p99_ms": found[99], "p999_ms": found[99.9]}
    row = {**where, "n": len(times_s), **named, "worst_ms": round(float(ms.max()), 4)}
    return row, [{**where, "percentile": percentile, "ms": value} for percentile, value in found.items()]
