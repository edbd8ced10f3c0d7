"""Results as small as they may be, for tests of what is made of them."""

from __future__ import annotations

from harness.results.result import CpuSeconds, MetricSummary, Result, Run
from harness.scenario.model import load_scenario


def small_run(method: str, total_s: float | None = 1.0, **fields) -> Run:
    values = {"repeat": 1, "warmup": False, "status": "completed", "downtime_s": 0.04, "verified": True} | fields
    wire_bytes = None if total_s is None else 100_000_000
    return Run(method=method, total_time_s=total_s, wire_bytes=wire_bytes, cpu_s=CpuSeconds(sender=1.0), **values)


def small_result(*runs: Run, name: str = "throttled") -> Result:
    summary = {
        run.method: {
            "total_time_s": MetricSummary(
                run.total_time_s, (run.total_time_s, run.total_time_s * 1.1), 5, vs_baseline=0.5
            ),
            "wire_bytes": MetricSummary(run.wire_bytes, (run.wire_bytes, run.wire_bytes), 1),
        }
        for run in runs
        if run.total_time_s is not None
    }
    scenario = load_scenario("throttled").model_dump(mode="json") | {"name": name}
    return Result(scenario=scenario, environment={"cores": 2}, runs=runs, summary=summary)
