"""Scenario -> runs, one after another -> Result, saved after every run. Start reading here.

A ``Plan`` says which run is next, a ``Lab`` makes it; the runner knows what a failure means, and when to save. An interrupt
ends the run in progress, whose parts the lab takes down, and leaves the result of all that finished.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness.errors import MissingError, PageferryError, ResultError, UserError
from harness.experiment import environment
from harness.experiment.campaign import saved_result
from harness.experiment.events import Event, LabOpened, Preparing, RunFinished, RunStarted
from harness.experiment.frontier import Frontiers
from harness.experiment.identity import collect
from harness.experiment.plan import Plan, Repeats, Turn
from harness.experiment.trial import Lab
from harness.hosts.signals import raise_if_arrived
from harness.results.document import Scalar
from harness.results.identity import Identity
from harness.results.result import Result, Run, conditions, save_result
from harness.scenario.model import Scenario

OnEvent = Callable[[Event], None]


def run_scenario(
    scenario: Scenario,
    out: Path,
    on_event: OnEvent,
    *,
    identity: Identity | None = None,
    resume: bool = False,
    skip_missing: bool = False,
) -> Result:
    """Run everything; ``out/result.json`` holds what is finished at every moment, ``out/logs`` each run's logs.

    ``identity``: of the command that runs it; None: it is a run of its own. ``resume``: go on from the runs that are there, if any.
    ``skip_missing``: where nothing of it can run here, every method is skipped with the reason.

    :raises MissingError: nothing of it can run here, and that is not skipped. :raises ResultError: the result cannot be saved.
    :raises UserError: there is a result already, or what is to be resumed is not of this scenario.
    """
    path, plan = out / "result.json", _plan(scenario)
    with _Labs(on_event) as labs:
        if path.is_file():
            if not resume:
                raise UserError(f"{path}: is there already, and no result is replaced: choose another folder")
            result = saved_result(scenario, path)
        else:
            result = _first_result(scenario, labs, identity or collect(), skip_missing=skip_missing)
            save_result(result, path)
        on_event(LabOpened(conditions(result)))
        while (turn := plan.next(result.runs)) is not None:
            tried = turn.attempt.tried if turn.attempt is not None else ""
            on_event(RunStarted(turn.method.name, turn.repeat, turn.index, turn.total, turn.warmup, tried))
            run = plan.judged(_one_run(labs, turn, out / "logs", on_event), turn)
            result = plan.concluded(replace(result, runs=(*result.runs, run)))
            save_result(result, path)
            on_event(RunFinished(run))
    return result


def is_whole(scenario: Scenario, path: Path) -> bool:
    """Whether the result in ``path`` has all runs. :raises PageferryError: as ``saved_result``."""
    return path.is_file() and _plan(scenario).next(saved_result(scenario, path).runs) is None


def run_turn(lab: Lab, turn: Turn, logs: Path, on_event: OnEvent) -> Run:
    """A run, whatever becomes of it: what this machine lacks is skipped with its reason, what fails carries its error."""
    raise_if_arrived()
    shutil.rmtree(logs / turn.name, ignore_errors=True)  # of one that an interrupt ended, which is made anew
    nothing = Run(turn.method.name, turn.repeat, turn.warmup, status="failed", started_at=_now())
    try:
        run = lab.run(turn.method, logs / turn.name, on_event)
    except ResultError:
        raise
    except MissingError as exc:
        return replace(nothing, status="skipped", reason=str(exc))
    except PageferryError as exc:
        return _failed(nothing, exc)
    return replace(run, repeat=turn.repeat, warmup=turn.warmup, started_at=nothing.started_at)


class _Labs:
    """The lab that is open: another is opened where a search tries what is the lab's."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._open = ExitStack()
        self._scenario: Scenario | None = None
        self._lab: Lab

    def __enter__(self) -> _Labs:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def lab_for(self, scenario: Scenario) -> Lab:
        if scenario != self._scenario:
            self._scenario = None
            self._open.close()
            lab = Lab(scenario)
            lab.tell = lambda what: self._on_event(Preparing(what))
            self._lab = self._open.enter_context(lab)
            self._scenario = scenario
        return self._lab


def _plan(scenario: Scenario) -> Plan:
    return Repeats(scenario) if scenario.frontier is None else Frontiers(scenario)


def _first_result(scenario: Scenario, labs: _Labs, identity: Identity, *, skip_missing: bool) -> Result:
    """What is known before the first run; where there can be none, why not."""
    try:
        lab = labs.lab_for(scenario)
    except MissingError as exc:
        if not skip_missing:
            raise
        skipped = Run("", 1, warmup=False, status="skipped", reason=str(exc), started_at=_now())
        runs = tuple(replace(skipped, method=method.name) for method in scenario.methods)
        return Result(scenario.told(), _facts(scenario), runs, identity=identity)
    return Result(
        scenario.told(), _facts(scenario) | lab.describe(), memory_classes=lab.memory_classes(), identity=identity
    )


def _facts(scenario: Scenario) -> dict[str, Scalar]:
    return environment.collect(getattr(scenario.guest, "qemu", "qemu-system-x86_64"))


def _one_run(labs: _Labs, turn: Turn, logs: Path, on_event: OnEvent) -> Run:
    try:
        lab = labs.lab_for(turn.scenario)
    except ResultError:
        raise
    except PageferryError as exc:  # what was there for the first lab: this run says nothing, the others go on
        return _failed(Run(turn.method.name, turn.repeat, turn.warmup, status="failed", started_at=_now()), exc)
    return run_turn(lab, turn, logs, on_event)


def _failed(run: Run, exc: PageferryError) -> Run:
    return replace(run, reason=str(exc), error=f"{type(exc).__name__}: {exc}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
