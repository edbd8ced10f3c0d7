"""Plausible results with fixed seeds, shaped as the runner saves them: for the reports' tests, and to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.results import stats
from harness.results.doubts import Said
from harness.results.result import CpuSeconds, Result, Run, Sample

MIB = 1 << 20
ENVIRONMENT = {
    "cpu_model": "AMD EPYC 7B13",
    "cores": 2,
    "kernel": "6.1.0-18-amd64",
    "qemu": "7.2.22",
    "kvm": "can be opened",
    "accel": "kvm",
    "link": "two network namespaces",
    "governor": None,
    "smt": True,
    "date": "2026-11-22T21:08:50+00:00",
    "load_1min": 0.42,
    "python": "3.11.2",
    "backend_isal": "1.8.0",
}
# name: method fields, then medians: total ms, downtime ms, wire MB, stream MB, passes, CPU of the four processes
LIVE: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "original": ({"engine": "qemu", "baseline": True}, (2832, 276, 338, 338, 4, 0.62, 0.48, 0, 0)),
    "qemu-compress-zlib-1": (
        {"engine": "qemu", "capabilities": ["compress"]},
        (9614, 159, 187, 187, 17, 16.4, 3.1, 0, 0),
    ),
    "zlib-1": ({"engine": "pageferry", "backend": "zlib", "level": 1}, (2410, 231, 118, 352, 5, 0.5, 0.46, 3.9, 1.2)),
    "isal-1": (
        {"engine": "pageferry", "backend": "isal", "level": 1},
        (1361, 187, 104, 341, 4, 0.48, 0.44, 1.21, 0.62),
    ),
    "zstd-1": (
        {"engine": "pageferry", "backend": "zstd", "level": 1},
        (1273, 174, 97.5, 340, 4, 0.49, 0.45, 1.08, 0.55),
    ),
}


def scenario(methods: Sequence[dict[str, Any]], **over: Any) -> dict[str, Any]:
    guest = {
        "kind": "stress",
        "accel": "auto",
        "prealloc": True,
        "memory_bytes": 512 * MIB,
        "working_set_bytes": 64 * MIB,
        "dirty_rate_bytes_per_s": 20 * MIB,
        "pattern": "sequential",
        "fill": {"zero": 0.4, "text": 0.2, "code": 0.15, "heap": 0.15, "random": 0.1},
    }
    empty = {
        "baseline": False,
        "capabilities": [],
        "backend": None,
        "level": None,
        "threads": None,
        "decompress_threads": None,
    }
    base = {
        "name": "throttled",
        "description": "1 Gbit/s: does compression shorten a migration that the link holds back, and at what price in CPU?",
        "repeats": 5,
        "warmups": 1,
        "downtime_limit_s": 0.3,
        "timeout_s": 120.0,
        "guest": guest,
        "link": {"kind": "netns", "bandwidth_bytes_per_s": 125_000_000},
        "methods": [{**empty, **method} for method in methods],
    }
    return {**base, **over}


def samples(total_s: float, wire_bytes: float, passes: int, cpu_s: float) -> tuple[Sample, ...]:
    steps = max(4, int(total_s / 0.05))
    found = []
    for step in range(steps + 1):
        share = step / steps
        found.append(
            Sample(
                t_s=share * total_s,
                wire_bytes=int(wire_bytes * share**0.92),
                passes=1 + int((passes - 1) * max(0.0, share - 0.6) / 0.4),
                remaining_bytes=int((1 - share) * 512 * MIB),
                cpu_s={"source_qemu": share * cpu_s},
            )
        )
    return tuple(found)


def run(random: np.random.Generator, method: str, repeat: int, figures: Sequence[float], warmup: bool = False) -> Run:
    total, down, wire, stream, passes, src, dst, send, recv = (f * random.normal(1, 0.02) for f in figures)
    passes = round(passes)
    pair = bool(send)
    return Run(
        method=method,
        repeat=repeat,
        warmup=warmup,
        status="completed",
        started_at=f"2026-11-22T21:{10 + repeat:02d}:07+00:00",
        total_time_s=total / 1e3,
        downtime_s=down / 1e3 if down else None,
        downtime_reported_s=down * random.uniform(0.6, 0.95) / 1e3 if down else None,
        heartbeat_gap_s=(down + random.uniform(4, 14)) / 1e3 if down else None,
        wire_bytes=int(wire * 1e6),
        stream_bytes=int(stream * 1e6),
        ratio=stream / wire,
        passes=passes if down else None,
        cpu_s=CpuSeconds(src or None, dst or None, send if pair else None, recv if pair else None),
        verified=True,
        verification=(
            "114 688 pages outside the working set: equal byte for byte",
            "16 384 working-set pages: sequence and checksum good",
        ),
        parameters={
            "max-bandwidth": 134217728000,
            "downtime-limit": 300,
            **({"threads": 12, "level": 1} if pair else {}),
        },
        counters={"fallbacks": 0, "stored_batches": int(random.integers(20, 60))} if pair else {},
        samples=samples(total / 1e3, wire * 1e6, passes, src),
    )


def summarised(result: Result) -> Result:
    """With the summary that a runner would have saved."""
    base = next((m["name"] for m in result.scenario["methods"] if m["baseline"]), "")
    return replace(result, summary=stats.summarise(result.runs, base))


def live(repeats: int = 6, *, extras: bool = True, bandwidth: int | None = 125_000_000) -> Result:
    """The throttled scenario; ``extras`` adds a skipped method, one that failed, one that failed in part, and warnings."""
    random = np.random.default_rng(7)
    methods = [{"name": name, **fields} for name, (fields, _) in LIVE.items()]
    for method in methods:
        if method["engine"] == "pageferry":
            method |= {"threads": 12, "decompress_threads": 3}
    runs = [run(random, name, 0, figures, warmup=True) for name, (_, figures) in LIVE.items()]
    runs += [run(random, name, n, figures) for n in range(1, repeats + 1) for name, (_, figures) in LIVE.items()]
    if extras:
        methods += [
            {"name": "multifd-zstd-1", "engine": "qemu", "capabilities": ["multifd"]},
            {"name": "card-9", "engine": "pageferry", "backend": "card", "level": 9},
        ]
        runs.append(Run("multifd-zstd-1", 1, warmup=False, status="skipped", reason="this QEMU was built without zstd"))
        failed = Run(
            "card-9",
            1,
            warmup=False,
            status="failed",
            reason="CodecError: batch 17 decoded wrongly",
            error="at frame 17\n  digest",
        )
        runs += [replace(failed, repeat=n) for n in range(1, repeats + 1)]
        late = next(i for i, r in enumerate(runs) if r.method == "zlib-1" and r.repeat == 2)
        runs[late] = replace(
            runs[late],
            doubts=(Said("The load was 3.1 on 2 cores when this run began."),),
            parameters={"max-bandwidth": 1, "level": 1},
        )
    doubts = (Said("The CPU governor could not be read; clock changes cannot be ruled out."),) if extras else ()
    classes = {
        "zero": {"share": 0.4, "declared_ratio": 157.5, "ratio": 157.4},
        "text": {"share": 0.2, "declared_ratio": 2.62, "ratio": 2.6},
        "code": {"share": 0.15, "declared_ratio": 2.05, "ratio": 2.08},
        "heap": {"share": 0.15, "declared_ratio": 3.9, "ratio": 3.86},
        "random": {"share": 0.1, "declared_ratio": 1.0, "ratio": 1.0},
    }
    link = {"kind": "netns", "bandwidth_bytes_per_s": bandwidth}
    result = Result(scenario(methods, link=link), ENVIRONMENT, tuple(runs), memory_classes=classes, doubts=doubts)
    return summarised(result)


def empty() -> Result:
    """Interrupted before its first run."""
    return Result(
        scenario([{"name": "original", "engine": "qemu", "baseline": True}, {"name": "isal-1", "engine": "pageferry"}]),
        {},
    )


def all_failed() -> Result:
    """No method has a figure."""
    runs = tuple(
        Run(name, 1, warmup=False, status="failed", reason="QEMU said no", error="exit status 1") for name in LIVE
    )
    return replace(live(extras=False), runs=runs, summary={})


def one_method() -> Result:
    """Only the baseline."""
    whole = live(extras=False)
    kept = tuple(r for r in whole.runs if r.method == "original")
    declared = {**whole.scenario, "methods": [m for m in whole.scenario["methods"] if m["name"] == "original"]}
    return summarised(replace(whole, scenario=declared, runs=kept))


def many_methods() -> Result:
    """44 methods, a run of each."""
    one = next(run for run in live(extras=False).runs if run.method == "zstd-1" and not run.warmup)
    names = [f"zstd-{n}" for n in range(44)]
    declared = [
        {"name": name, "engine": "pageferry", "backend": "zstd", "baseline": name == names[0]} for name in names
    ]
    return summarised(Result(scenario(declared), ENVIRONMENT, tuple(replace(one, method=name) for name in names)))


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def renamed(result: Result, old: str, new: str) -> Result:
    """With one method called something else."""
    declared = [{**m, "name": new if m["name"] == old else m["name"]} for m in result.scenario["methods"]]
    runs = tuple(replace(r, method=new) if r.method == old else r for r in result.runs)
    return summarised(replace(result, scenario={**result.scenario, "methods": declared}, runs=runs))


def hostile() -> Result:
    """Markup wherever a result holds text."""
    result = renamed(live(), "isal-1", HOSTILE)
    runs = tuple(
        replace(
            r,
            reason=HOSTILE,
            error=HOSTILE,
            verification=(HOSTILE,),
            doubts=(Said(HOSTILE),),
            parameters={HOSTILE: HOSTILE},
            counters={HOSTILE: 1},
            started_at=HOSTILE,
        )
        for r in result.runs
    )
    return replace(
        result,
        scenario={**result.scenario, "name": HOSTILE, "description": HOSTILE},
        environment={HOSTILE: HOSTILE, "cpu_model": HOSTILE},
        runs=runs,
        memory_classes={HOSTILE: {"share": 1.0, "declared_ratio": 2.0, "ratio": 2.0}},
        doubts=(Said(HOSTILE),),
    )
