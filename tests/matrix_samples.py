"""Cells of a matrix that were run apart, on a machine that was slower by half when the second one ran."""

from __future__ import annotations

from harness.results.result import Result, Run
from harness.results.stats import summarise
from harness.scenario.sweep import load_sweep

BASELINE_S = 3.0


def cell(
    method: str, share: float | None, *, kind: str = "synthetic", slower: float = 1.0, date: str = "2026-11-28"
) -> Result:
    """``share``: of the baseline's time that the method takes; None: it is skipped. Runs vary by two percent."""
    (scenario,) = load_sweep("matrix", (f"guest.kind={kind}",), (method,))
    runs = []
    for number in range(1, 11):
        noise = 1 + (number % 5 - 2) / 100
        for name, times in (("original", 1.0), (method, share)):
            if times is not None:
                took = BASELINE_S * slower * times * noise
                runs.append(Run(name, number, warmup=False, status="completed", total_time_s=took, verified=True))
    if share is None:
        runs.append(Run(method, 1, warmup=True, status="skipped", reason="no such card here"))
    return Result(scenario.told(), {"date": date}, tuple(runs), summarise(runs, "original"))


def cells() -> list[Result]:
    return [
        cell("zlib-1", 0.5),
        cell("zstd-1", 0.4, slower=1.5),
        cell("lz4-0", 1.0),
        cell("qatzip-1", None),
        cell("zstd-1", 0.6, kind="stress"),
    ]
