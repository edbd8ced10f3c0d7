"""What a site keeps of each result, so that a page over a thousand need not read them again. No HTML, no files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from harness.errors import ResultError
from harness.results.metrics import METRICS
from harness.results.result import Result
from harness.results.stats import summary
from reports import facts
from reports.effects import counted_methods, counted_values, method_names
from reports.numbers import plural
from reports.run.failures import failures
from reports.run.fallbacks import alerts
from reports.run.view import in_words

State = Literal["failed", "doubted", "good"]
_METRICS = ("total_time_s", "downtime_s", "wire_bytes", "cpu_total_s")
_NOT_OF_THE_EXPERIMENT = ("description", "repeats", "warmups", "methods", "cell")


@dataclass(frozen=True, slots=True)
class Figure:
    """A method's median of one metric over ``n`` runs, with its interval, in the metric's unit."""

    median: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One result. ``experiment``: the same for results that may stand in one line: of one scenario, guest, link and machine.

    ``figures``: by metric, then by method; ``methods``: how each was set, shortened to a digest.
    """

    digest: str
    run_id: str
    name: str
    experiment: str
    started: str
    guest: str
    link: str
    machine: str
    host: str
    version: str
    commit: str
    tags: tuple[str, ...]
    state: State
    failures: tuple[str, ...]
    alerts: tuple[str, ...]
    verdict: str
    runs: str
    warnings: int
    methods: Mapping[str, str]
    figures: Mapping[str, Mapping[str, Figure]]


def row_of(result: Result, digest: str) -> Row:
    """:raises ResultError: its summary is not that of its runs, as when somebody edited it."""
    _check_summary(result)
    said, lost, told, names = in_words(result), failures(result), alerts(result), method_names(result)
    identity = result.identity
    started = identity.started_at if identity else facts.date_text(result)[:16]
    return Row(
        digest=digest,
        run_id=identity.run_id if identity else f"{started[:10]}-{digest[:6]}",
        name=_name(result),
        experiment=_digest(
            [_compared(result), facts.link_text(result), result.environment.get("accel"), _machine(result)]
        ),
        started=started,
        guest=facts.guest_text(result),
        link=facts.link_text(result),
        machine=facts.machine_text(result),
        host=identity.host if identity else "",
        version=identity.version if identity else str(result.environment.get("pageferry") or ""),
        commit=(identity.commit if identity else None) or "",
        tags=identity.tags if identity else (),
        state="failed" if lost else "good" if counted_methods(result) and not told else "doubted",
        failures=lost,
        alerts=told,
        verdict=said[0] if said else "",
        runs=", ".join([plural(len(result.runs), "run"), plural(len(names), "method")]),
        warnings=len(result.warnings),
        methods={name: _digest(method)[:8] for name, method in facts.declared_methods(result).items()},
        figures={key: _figures(result, key) for key in _METRICS},
    )


def _name(result: Result) -> str:
    """With its pair of hosts, if it is of one: a fleet has a result of each scenario on each pair."""
    name, link = facts.scenario_text(result, "name", "unnamed scenario"), result.scenario.get("link")
    pair = link.get("name") if isinstance(link, Mapping) and link.get("kind") == "pair" else None
    return name if pair is None else f"{name}@{pair}"


def _compared(result: Result) -> dict[str, Any]:
    return {key: value for key, value in result.scenario.items() if key not in _NOT_OF_THE_EXPERIMENT}


def _machine(result: Result) -> list[object]:
    identity, told = result.identity, result.environment
    return [(identity.machine_id or identity.host) if identity else None, told.get("cpu_model"), told.get("cores")]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _figures(result: Result, key: str) -> dict[str, Figure]:
    every = ((name, counted_values(result, name, key)) for name in result.summary)
    told = ((name, summary(numbers, None)) for name, numbers in every if numbers)
    return {name: Figure(each.median, *each.ci95, each.n) for name, each in told}


def _check_summary(result: Result) -> None:
    for name, told in result.summary.items():
        for key, said in told.items():
            counted = counted_values(result, name, key) if key in METRICS else ()
            if counted and not math.isclose(median(counted), said.median, rel_tol=1e-6, abs_tol=1e-9):
                words = f"{name}'s median of {key} is {said.median:g}, and its runs' is {median(counted):g}"
                raise ResultError(
                    f"its summary is not that of its runs: {words}; somebody edited it: restore or remove the file"
                )
