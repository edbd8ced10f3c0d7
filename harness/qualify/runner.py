"""A backend's name -> a certificate: who it is, then every check in a process of its own, then the verdict. Start reading here."""

from __future__ import annotations

import datetime
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from backends import registry
from backends.api import BackendError
from harness.errors import CodecError, MissingError, UserError
from harness.experiment import environment
from harness.names import near
from harness.qualify.catalogue import CHECKS
from harness.qualify.check import Check, Job
from harness.qualify.findings import findings
from harness.qualify.identity import IDENTITY
from harness.qualify.process import Outcome, run_checks
from harness.qualify.thresholds import Limits, load_thresholds
from harness.results.certificate import Certificate, CheckResult, Measurement, verdict_of

_PATIENCE = {"quick": 1.0, "full": 10.0}
_SOAK_S = {"quick": 4.0, "full": 600.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to qualify, and how. ``backend_class`` None: as the backend's device says. ``soak_s`` None: the profile's."""

    backend: str
    level: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    profile: str = "quick"
    backend_class: str | None = None
    thresholds: Path | None = None
    only: tuple[str, ...] = ()
    soak_s: float | None = None


def select(patterns: Sequence[str]) -> list[Check]:
    """The checks that match any of ``patterns``, all if there are none. :raises UserError: a pattern matches nothing."""
    for pattern in patterns:
        if not any(_matches(check, pattern) for check in CHECKS.values()):
            hint = near(pattern, [*CHECKS, *{check.group: None for check in CHECKS.values()}])
            raise UserError(f"--only {pattern}: no such check or group; {hint}`pageferry qualify --list` names them")
    return [check for check in CHECKS.values() if not patterns or any(_matches(check, one) for one in patterns)]


def _matches(check: Check, pattern: str) -> bool:
    return fnmatchcase(check.id, pattern) or check.group == pattern


def qualify(plan: Plan, out: Path, on_result: Callable[[CheckResult, int, int], None]) -> Certificate:
    """Run the checks; ``out/logs`` has what the backend printed. ``on_result`` hears each result, its number, and how many.

    :raises UserError: a wrong name, level, option, threshold or pattern. :raises MissingError: the backend cannot work here.
    :raises CodecError: its device fails before the first check.
    """
    checks = check_plan(plan)
    soak_s = plan.soak_s if plan.soak_s is not None else _SOAK_S[plan.profile]
    job = Job(plan.backend, plan.level, dict(plan.options), "software", plan.profile, soak_s)
    machine = environment.collect()  # before the checks load it
    started_at, began_s = datetime.datetime.now().astimezone(), time.monotonic()
    identity = _identified(job, out / "logs")
    job = replace(job, backend_class=plan.backend_class or identity["class"])
    limits = load_thresholds(plan.thresholds, job.backend_class)
    results = []
    for result in _results(plan, job, checks, limits, out / "logs"):
        results.append(result)
        on_result(result, len(results), len(checks))
    return Certificate(
        backend=plan.backend,
        version=identity["version"],
        backend_class=job.backend_class,
        profile=plan.profile,
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=time.monotonic() - began_s,
        verdict=verdict_of(tuple(results)),
        level=plan.level,
        options=plan.options,
        partial=len(checks) < len(CHECKS),
        identity={"backend": plan.backend, "version": identity["version"], **_device(identity)},
        environment=machine,
        thresholds=limits,
        thresholds_from=str(plan.thresholds or "shipped"),
        checks=tuple(results),
        findings=tuple(findings(job.backend_class, results)),
    )


def check_plan(plan: Plan) -> list[Check]:
    """What it comes to. :raises UserError: a wrong name, level, option, threshold or pattern."""
    _check_settings(plan)
    load_thresholds(plan.thresholds, "software")
    return select(plan.only)


def _check_settings(plan: Plan) -> None:
    try:
        registry.create(plan.backend, plan.level, **plan.options).close()
    except BackendError as exc:
        raise UserError(str(exc)) from exc


def _identified(job: Job, logs: Path) -> dict[str, Any]:
    """:raises MissingError: it cannot work here. :raises CodecError: its device fails."""
    ((_, outcome),) = run_checks(job, [IDENTITY], logs)
    if outcome["status"] == "n/a":
        raise MissingError(outcome["evidence"])
    if outcome["status"] != "pass":
        raise CodecError(f"backend {job.backend!r} fails before any check: {outcome['evidence']}")
    identity: dict[str, Any] = outcome["data"]
    return identity


def _device(identity: Mapping[str, Any]) -> dict[str, str]:
    """What it told; what nobody told is said to be so, for an accelerator."""
    if identity["class"] == "software":
        return {"device": "this host's CPU", **identity["told"]}
    unknown = dict.fromkeys(("driver", "firmware", "pcie"), "not told by the backend")
    return {"device": identity["device"], **unknown, **identity["told"]}


def _results(plan: Plan, job: Job, checks: Sequence[Check], limits: Limits, logs: Path) -> Iterator[CheckResult]:
    patience = _PATIENCE[plan.profile]
    by_id = {check.id: check for check in checks}
    # What is asked to take time gets it.
    checks = [replace(check, limit_s=check.limit_s + 2 * job.soak_s) for check in checks]
    for check_id, outcome in run_checks(job, checks, logs, patience=patience):
        yield _result(plan, by_id[check_id], outcome, limits)


def _result(plan: Plan, check: Check, outcome: Outcome, limits: Limits) -> CheckResult:
    measurements = tuple(
        Measurement(value["name"], value["value"], value["unit"], **limits.get(value["name"], {}))
        for value in outcome["values"]
    )
    outside = [measurement for measurement in measurements if not measurement.ok]
    evidence = outcome["evidence"]
    if outside:
        evidence = f"{'; '.join(map(_outside, outside))}. {evidence}"
    return CheckResult(
        check.id, check.group, check.title, check.reason,
        "fail" if outside else outcome["status"],
        evidence, _command(plan, check), outcome["duration_s"], measurements, outcome["data"],
    )  # fmt: skip


def _outside(measurement: Measurement) -> str:
    unit = f" {measurement.unit}" if measurement.unit else ""
    low = measurement.least is not None and measurement.value < measurement.least
    limit = f"at least {measurement.least:g}" if low else f"at most {measurement.most:g}"
    return f"{measurement.name} is {measurement.value:g}{unit}, must be {limit}"


def _command(plan: Plan, check: Check) -> str:
    words = ["pageferry", "qualify", plan.backend, "--only", check.id]
    if plan.level is not None:
        words += ["--level", str(plan.level)]
    for key, value in plan.options.items():
        words += ["--option", f"{key}={value}"]
    if plan.profile != "quick":
        words += ["--profile", plan.profile]
    if plan.backend_class is not None:
        words += ["--class", plan.backend_class]
    if plan.thresholds is not None:
        words += ["--thresholds", str(plan.thresholds)]
    if plan.soak_s is not None:
        words += ["--soak", f"{plan.soak_s / 60:g}"]
    return shlex.join(words)
