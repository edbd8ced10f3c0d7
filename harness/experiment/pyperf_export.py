"""A result as pyperf's JSON, one file per method, so that ``pyperf stats``, ``hist`` and ``compare_to`` read it.

Each file holds the same benchmarks by name (total_time, downtime, wire_bytes ...), which is how ``compare_to`` pairs two
files. Warm-ups become pyperf's warm-ups. Knows results, not how they were measured.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pyperf

from harness.results.metrics import Metric, shown_in
from harness.results.result import Result, Run
from harness.results.saving import save_whole

__all__ = ["write_pyperf"]


def write_pyperf(result: Result, folder: Path) -> list[Path]:
    """Write ``folder/METHOD.json`` for each method with a completed run.

    :raises ResultError: they cannot be written.
    """
    written = []
    for method in dict.fromkeys(run.method for run in result.runs):
        suite = _suite(result, method)
        if suite is not None:
            path = folder / f"{_file_name(method)}.json"
            text = io.StringIO()
            suite.dump(text, compact=False)
            save_whole(text.getvalue().encode(), path, "runs for pyperf")
            written.append(path)
    return written


def _suite(result: Result, method: str) -> pyperf.BenchmarkSuite | None:
    completed = [run for run in result.runs if run.method == method and run.status == "completed"]
    runs = [run for run in completed if run.attempt is None]  # a search's runs differ in what they tried
    metadata = {"method": method, "scenario": str(result.scenario.get("name") or "unnamed")}
    benchmarks = [_benchmark(metric, runs, metadata) for metric in shown_in("pyperf")]
    present = [benchmark for benchmark in benchmarks if benchmark is not None]
    return pyperf.BenchmarkSuite(present) if present else None


def _benchmark(metric: Metric, runs: Sequence[Run], metadata: dict[str, str]) -> pyperf.Benchmark | None:
    """One pyperf run per run of ours; all warm-ups stand before the first, where they were made. pyperf refuses a zero."""
    counted = [(run, value) for run in runs if not run.warmup and (value := metric.of(run))]
    if not counted:
        return None
    warmups = [(1, value) for run in runs if run.warmup and (value := metric.of(run))]
    described = metadata | {"name": metric.key.removesuffix("_s"), "unit": metric.unit.stored, "loops": 1}
    pyperf_runs = []
    for run, value in counted:
        dated = described | ({"date": run.started_at} if run.started_at else {})
        pyperf_runs.append(pyperf.Run([value], warmups=warmups, metadata=dated, collect_metadata=False))
        warmups = []
    return pyperf.Benchmark(pyperf_runs)


def _file_name(method: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", method)
