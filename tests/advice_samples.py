"""Replays as ``pageferry advise`` makes them, with given figures: for the tests of what follows from them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.advise.adviser import Measured, conclude
from harness.results.advice import Advice, Question
from harness.results.model import Guest, Link
from harness.results.result import CpuSeconds, Result, Run

MB, GBIT = 1e6, 125_000_000
STREAM_BYTES = 200_000_000
# method: rate without a limit (10^6 bytes/s), ratio, ratio in small batches, CPU seconds of sender and receiver
FIGURES: dict[str, tuple[float, float, float, float, float]] = {
    "none": (1000, 0.956, 0.955, 0.2, 0.15),
    "lz4": (500, 2.5, 2.4, 0.5, 0.2),
    "isal-1": (380, 2.7, 2.7, 0.6, 0.4),
    "zstd-1": (430, 3.15, 2.8, 0.6, 0.3),
    "zstd-3": (360, 3.33, 2.9, 0.8, 0.3),
}


def run(
    method: str, rate_mb: float, ratio: float, *, sender_s: float = 0.5, receiver_s: float = 0.3, repeat: int = 1
) -> Run:
    return Run(
        method,
        repeat,
        warmup=False,
        status="completed",
        total_time_s=STREAM_BYTES / (rate_mb * MB),
        stream_bytes=STREAM_BYTES,
        wire_bytes=round(STREAM_BYTES / ratio),
        ratio=ratio,
        cpu_s=CpuSeconds(sender=sender_s, receiver=receiver_s),
        verified=True,
    )


def declared(name: str) -> dict[str, object]:
    backend, _, level = name.rpartition("-") if name[-1].isdigit() and "-" in name else (name, "", "")
    return {
        "name": name,
        "engine": "pageferry",
        "baseline": name == "none",
        "backend": backend,
        "level": int(level) if level else None,
    }


def measured(
    figures: Mapping[str, tuple[float, float, float, float, float]] = FIGURES,
    link: Link = Link(GBIT, 1e-9),  # noqa: B008 - frozen
    *,
    spread: float = 0.05,
    counts_headers: bool = True,
    replays: int = 3,
) -> Measured:
    scenario = {"name": "advise", "methods": [declared(name) for name in figures]}
    factors = [1 + spread * (2 * replay / (replays - 1) - 1) for replay in range(replays)]
    whole = tuple(
        run(name, rate * factor, ratio, sender_s=sender, receiver_s=receiver, repeat=repeat)
        for repeat, factor in enumerate(factors, 1)
        for name, (rate, ratio, _, sender, receiver) in figures.items()
    )
    small = tuple(run(name, rate / 2, slow) for name, (rate, _, slow, *_) in figures.items())
    environment = {"link_counts_headers": counts_headers, "cores": 2, "cpu_model": "a processor"}
    return Measured(Result(scenario, environment, whole), Result(scenario, environment, small), 10 * MB, link)


def question(bandwidth: int | None = GBIT, **over: object) -> Question:
    settings = {"cores": 2, "downtime_limit_s": 0.3, "dirty_bytes_per_s": 20_000_000, "working_set_bytes": 64_000_000}
    return Question("a guest", 2 * STREAM_BYTES, bandwidth, **(settings | over))  # type: ignore[arg-type]


def advice(bandwidth: int | None = GBIT, found: Measured | None = None, **over: object) -> Advice:
    asked = question(bandwidth, **over)
    guest = Guest(asked.stream_bytes, asked.working_set_bytes, asked.dirty_bytes_per_s or 0)
    return conclude(asked, guest, found or measured(link=Link(bandwidth, 1e-9)), ("a note",))
