"""Results of searches for frontiers, made as the runner makes them but with imaginary guests: for tests, and to look at."""

from __future__ import annotations

import random
from dataclasses import replace

from report_samples import ENVIRONMENT, HOSTILE, MIB

from harness.experiment.frontier import doubts, frontiers, judged, next_value, with_value
from harness.results.result import Result, Run
from harness.scenario.model import Scenario

METHODS = [
    {"name": "original", "engine": "qemu", "baseline": True},
    {"name": "lz4", "engine": "pageferry", "backend": "lz4"},
    {"name": "zstd-1", "engine": "pageferry", "backend": "zstd"},
    {"name": "zstd-long-1", "engine": "pageferry", "backend": "zstd-long"},
]
# by method: times the link that it carries, and its least downtime in ms
CARRIES = {"original": (0.93, 60), "lz4": (2.2, 45), "zstd-1": (3.1, 30), "zstd-long-1": (5.0, 32)}
GUEST_MIB = 190.0  # what the imaginary guest can write


def scenario(bandwidth: int | None, methods=METHODS) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "convergence",
            "description": "the highest dirty rate and the lowest downtime limit at which each method converges",
            "timeout": "30s",
            "guest": {"dirty_rate": "50MiB/s", "working_set": "128MiB"},
            "link": {"kind": "netns", "bandwidth_bytes_per_s": bandwidth},
            "frontier": {
                "tolerance": 1.15,
                "dirty_rate": {"from": "10MiB/s", "to": "400MiB/s"},
                "downtime_limit": {"from": "1ms", "to": "300ms"},
            },
            "method": methods,
        },
    )


def attempt(chance: random.Random, tried: Scenario, method: str) -> Run:
    carries, least_ms = CARRIES[method]
    rate, limit_s = tried.guest.dirty_rate_bytes_per_s / MIB, tried.downtime_limit_s
    capacity = carries * (tried.link.bandwidth_bytes_per_s or 1e9) / MIB * chance.gauss(1, 0.03)
    wrote = min(rate, GUEST_MIB * chance.gauss(1, 0.02))
    noted = {"warmup": False, "guest_dirty_rate_bytes_per_s": wrote * MIB, "started_at": "2026-11-25T20:01:07+00:00"}
    if wrote > capacity or limit_s < least_ms / 1e4:
        return Run(method, 0, status="timeout", reason="no end within 30 s: pass 9, 133111808 bytes left", **noted)
    stood_s = max(limit_s, least_ms / 1e3) * chance.gauss(1, 0.05)
    return Run(method, 0, status="completed", total_time_s=3.0, downtime_s=stood_s, verified=True, **noted)


def convergence(bandwidth: int | None = 125_000_000, seed: int = 3) -> Result:
    """Every search of every method to its end."""
    chance, whole, runs = random.Random(seed), scenario(bandwidth), []
    for search in whole.frontier.searches:
        for method in whole.methods:
            while (value := next_value(whole, method, search, runs)) is not None:
                tried = with_value(whole, search, value)
                repeat = 1 + sum(run.method == method.name for run in runs)
                made = replace(attempt(chance, tried, method.name), repeat=repeat)
                runs.append(judged(made, tried, search, value))
    return as_far_as(whole, tuple(runs))


def as_far_as(whole: Scenario, runs: tuple[Run, ...]) -> Result:
    """The result that the runner would have saved with these runs."""
    found = frontiers(whole, runs)
    return Result(whole.model_dump(mode="json"), ENVIRONMENT, runs=runs, frontiers=found, doubts=tuple(doubts(found)))


def interrupted(runs: int) -> Result:
    """Ended after so many runs."""
    return as_far_as(scenario(125_000_000), convergence().runs[:runs])


def hostile() -> Result:
    """Markup wherever a frontier holds text."""
    result = convergence()
    return replace(
        result,
        runs=tuple(
            replace(r, method=HOSTILE, reason=HOSTILE, attempt=replace(r.attempt, why=HOSTILE)) for r in result.runs
        ),
        frontiers=tuple(replace(each, method=HOSTILE, note=HOSTILE) for each in result.frontiers),
    )
