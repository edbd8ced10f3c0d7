"""Results as small as they may be, for tests of what is made of them."""

from __future__ import annotations

from harness.results.result import CpuSeconds, Result, Run
from harness.results.stats import summarise
from harness.scenario.model import load_scenario


def small_run(method: str, total_s: float | None = 1.0, **fields) -> Run:
    values = {"repeat": 1, "warmup": False, "status": "completed", "downtime_s": 0.04, "verified": True} | fields
    wire_bytes = None if total_s is None else 100_000_000
    return Run(method=method, total_time_s=total_s, wire_bytes=wire_bytes, cpu_s=CpuSeconds(sender=1.0), **values)


def repeated(method: str, count: int = 3, **fields) -> tuple[Run, ...]:
    """So many completed runs that measured the same."""
    return tuple(Run(method, n, warmup=False, status="completed", **fields) for n in range(1, count + 1))


def small_result(*runs: Run, name: str = "throttled") -> Result:
    scenario = load_scenario("throttled").model_dump(mode="json") | {"name": name}
    return Result(scenario=scenario, environment={"cores": 2}, runs=runs, summary=summarise(runs, "original"))
