"""Scenario -> interleaved repeats -> Result, saved after every run. Start reading here.

A *lab* knows how to make one run: ``live`` with two QEMUs, ``replayed`` with a recorded or generated stream. The runner
knows the order of runs, what a failure means, and when to save. An interrupt ends the run in progress, whose parts the
lab takes down, and leaves the result of all that finished.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.errors import MissingError, PageferryError, ResultError
from harness.experiment import environment
from harness.experiment.events import Event, LabOpened, RunFinished, RunProgress, RunStarted
from harness.experiment.live import LiveLab
from harness.experiment.outputs import RUN_FILES, replacing
from harness.experiment.replayed import ReplayLab
from harness.hosts.signals import raise_if_arrived
from harness.results import stats
from harness.results.result import Result, Run, conditions, save_result
from harness.scenario.methods import Method
from harness.scenario.model import Scenario

__all__ = ["Lab", "first_result", "one_run", "open_lab", "run_scenario"]

OnProgress = Callable[[RunProgress], None]


class Lab(Protocol):
    """Makes single runs of one scenario. Opened once; ``run`` leaves nothing behind, however it ends."""

    def describe(self) -> dict[str, str | int | float | bool | None]:
        """What was chosen and why (accelerator, link): goes into the result's environment."""

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """Per page class of the guest's memory: share, declared and measured ratio."""

    def run(self, method: Method, logs: Path, on_progress: OnProgress) -> Run:
        """One migration. :raises MissingError: this machine cannot run the method. :raises PageferryError: it failed."""


@dataclass(frozen=True, slots=True)
class _Turn:
    method: Method
    repeat: int
    warmup: bool


def open_lab(scenario: Scenario) -> AbstractContextManager[Lab]:
    """The lab for the scenario's kind of guest. :raises MissingError: QEMU is not here."""
    return LiveLab(scenario) if scenario.guest.has_qemu else ReplayLab(scenario)


def run_scenario(scenario: Scenario, out: Path, on_event: Callable[[Event], None]) -> Result:
    """Run everything; ``out/result.json`` holds what is finished at every moment, ``out/logs`` each run's logs.
    An older result there stays until the first run has finished.

    :raises MissingError: nothing of it can run here. :raises ResultError: the result cannot be saved.
    """
    path = out / "result.json"
    with replacing(out, RUN_FILES) as settle, open_lab(scenario) as lab:
        result = first_result(scenario, lab)
        save_result(result, path)
        on_event(LabOpened(conditions(result)))
        turns = list(_order(scenario))
        skipped: dict[str, Run] = {}
        for index, turn in enumerate(turns, start=1):
            if turn.method.name in skipped:
                continue
            on_event(RunStarted(turn.method.name, turn.repeat, index, len(turns), turn.warmup))
            run = _one_run(lab, turn, out / "logs", on_event)
            if run.status == "skipped":
                skipped[turn.method.name] = run
            result = _with_run(result, run, scenario)
            save_result(result, path)
            settle()
            on_event(RunFinished(run))
    return result


def first_result(scenario: Scenario, lab: Lab) -> Result:
    """What is known before the first run."""
    facts = environment.collect(getattr(scenario.guest, "qemu", "qemu-system-x86_64")) | lab.describe()
    unused = {"frontier"} if scenario.frontier is None else None  # results of before there were any stay comparable
    return Result(scenario.model_dump(mode="json", exclude=unused), facts, memory_classes=lab.memory_classes())


def _order(scenario: Scenario) -> Iterator[_Turn]:
    """Warm-ups first; then every repeat runs each method once, beginning one further each time, so that none is always first."""
    methods = scenario.methods
    for repeat in range(1, scenario.warmups + 1):
        yield from (_Turn(method, repeat, warmup=True) for method in methods)
    for repeat in range(1, scenario.repeats + 1):
        first = (repeat - 1) % len(methods)
        yield from (_Turn(method, repeat, warmup=False) for method in methods[first:] + methods[:first])


def _one_run(lab: Lab, turn: _Turn, logs: Path, on_event: Callable[[Event], None]) -> Run:
    kind = "warmup" if turn.warmup else "repeat"
    run = one_run(lab, turn.method, turn.repeat, logs / f"{turn.method.name}-{kind}-{turn.repeat}", on_event)
    return replace(run, warmup=turn.warmup)


def one_run(lab: Lab, method: Method, repeat: int, logs: Path, on_event: Callable[[Event], None]) -> Run:
    """A run, whatever becomes of it: what this machine lacks is skipped with its reason, what fails carries its error."""
    raise_if_arrived()
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    nothing = Run(method.name, repeat, warmup=False, status="failed", started_at=started_at)
    try:
        run = lab.run(method, logs, on_event)
    except ResultError:
        raise
    except MissingError as exc:
        return replace(nothing, status="skipped", reason=str(exc))
    except PageferryError as exc:
        return replace(nothing, reason=str(exc), error=f"{type(exc).__name__}: {exc}")
    return replace(run, repeat=repeat, started_at=started_at)


def _with_run(result: Result, run: Run, scenario: Scenario) -> Result:
    runs = (*result.runs, run)
    summary = stats.summarise(runs, scenario.baseline.name)
    return replace(result, runs=runs, summary=summary, warnings=tuple(stats.doubts(runs)))
