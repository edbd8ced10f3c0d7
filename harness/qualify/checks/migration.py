"""The same backend under a real guest: the scenario ``throttled``, QEMU alone beside it, all memory compared."""

from __future__ import annotations

import shutil
from statistics import median
from typing import Any

from harness.errors import MissingError
from harness.experiment.environment import kvm_problem
from harness.hosts.rundir import open_scratch
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, Value, check
from harness.results.result import Result, Run
from harness.scenario.methods import PairMethod
from harness.scenario.model import Scenario, load_scenario
from harness.units import format_bytes

CHECKS: list[Check] = []

_NAME = "qualified"


@check(
    CHECKS,
    "migration.throttled",
    "a running guest crosses a link of 1 Gbit/s with it, and every byte of its memory arrives",
    "this is what it is bought for",
    limit_s=170,
    alone=True,
)
def _throttled(bench: Bench) -> Found:
    if shutil.which("qemu-system-x86_64") is None:
        raise NotApplicable("no qemu-system-x86_64 here; install qemu-system-x86")
    if problem := kvm_problem():
        raise NotApplicable(f"a guest under emulation says nothing of one under KVM; {problem}")
    from harness.experiment.runner import run_scenario  # noqa: PLC0415 - brings scipy: half a second that no other check's process needs

    with open_scratch() as folder:
        try:
            result = run_scenario(_scenario(bench), folder, lambda _: None)
        except MissingError as exc:
            raise NotApplicable(str(exc)) from exc
    return _judged(result)


def _scenario(bench: Bench) -> Scenario:
    sizes = ["guest.memory=256MiB", "repeats=1", "warmups=0"] if bench.quick else ["repeats=5"]
    scenario = load_scenario("throttled", sizes, ["original"])
    method = PairMethod(
        name=_NAME,
        backend=bench.job.backend,
        level=bench.job.level,
        options=dict(bench.job.options),
    )
    return scenario.model_copy(update={"methods": (*scenario.methods, method)})


def _judged(result: Result) -> Found:
    counted = [run for run in result.runs if not run.warmup]
    own = [run for run in counted if run.method == _NAME]
    completed = [run for run in own if run.status == "completed"]
    if len(completed) < len(own):
        lost = next(run for run in own if run.status != "completed")
        raise Failed(f"{len(own) - len(completed)} of {len(own)} migrations did not complete: {lost.reason}")
    others = [run for run in counted if run.method != _NAME and run.status == "completed"]
    batches = sum(run.counters.get("sender_batches", 0) for run in own)
    fallbacks = sum(run.counters.get("fallbacks", 0) for run in own)
    values = [
        Value("migration_unverified", sum(not run.verified for run in own), "runs"),
        Value("migration_fallback_share", round(fallbacks / batches, 4) if batches else 0.0, ""),
    ]
    evidence = f"{len(own)} migrations of a live guest, memory compared in each: {_told(own)}"
    if others:
        values.append(Value("migration_vs_original", round(_total_s(own) / _total_s(others), 3), ""))
        evidence += f"; QEMU alone: {_told(others)}"
    return Found(evidence, tuple(values), {"runs": [_row(run) for run in counted]})


def _total_s(runs: list[Run]) -> float:
    return median(run.total_time_s for run in runs if run.total_time_s is not None)


def _told(runs: list[Run]) -> str:
    downtime_ms = median((run.downtime_s or 0.0) * 1e3 for run in runs)
    wire_bytes = median(run.wire_bytes or 0 for run in runs)
    return f"{_total_s(runs) * 1e3:.0f} ms, downtime {downtime_ms:.0f} ms, {format_bytes(wire_bytes)} on the wire"


def _row(run: Run) -> dict[str, Any]:
    return {
        "method": "QEMU alone" if run.method != _NAME else "this backend",
        "total_ms": None if run.total_time_s is None else round(run.total_time_s * 1e3, 1),
        "downtime_ms": None if run.downtime_s is None else round(run.downtime_s * 1e3, 1),
        "wire_bytes": run.wire_bytes,
        "cpu_source_s": (run.cpu_s.source_qemu or 0.0) + (run.cpu_s.sender or 0.0),
        "verified": run.verified,
    }
