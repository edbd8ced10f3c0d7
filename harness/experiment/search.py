"""Scenario with ``[frontier]`` -> attempts -> Result, saved after every attempt. ``frontier`` says what to try next.

Each attempt is a run in a lab of its own, for what is tried is the lab's. Methods take turns, so that a machine that slows
down slows all of them down. An interrupt leaves the result of all that finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from harness.errors import PageferryError, ResultError, UserError
from harness.experiment import runner
from harness.experiment.events import Event, LabOpened, RunFinished, RunStarted
from harness.experiment.frontier import doubts, frontiers, judged, next_value, runs_left, with_value
from harness.experiment.outputs import RUN_FILES, replacing
from harness.results.result import Attempt, Result, Run, conditions, load_result, save_result
from harness.scenario.methods import Method
from harness.scenario.model import Scenario

__all__ = ["run_frontiers"]


def run_frontiers(scenario: Scenario, out: Path, on_event: Callable[[Event], None], *, resume: bool = False) -> Result:
    """Find every frontier; ``out/result.json`` holds what is finished at every moment, ``out/logs`` each attempt's logs.

    ``resume``: go on from the attempts that are there, if any. What to try next follows from them alone.

    :raises MissingError: nothing of it can run here. :raises ResultError: the result cannot be saved.
    :raises UserError: what is there is not of this scenario.
    """
    path = out / "result.json"
    resume = resume and path.exists()
    with replacing(out, RUN_FILES, resume=resume) as settle:
        if resume:
            result = _saved(scenario, path)
        else:
            with runner.open_lab(scenario) as lab:
                result = runner.first_result(scenario, lab)
            save_result(result, path)
        on_event(LabOpened(conditions(result)))
        return _searched(scenario, result, out, on_event, settle)


def _searched(
    scenario: Scenario, result: Result, out: Path, on_event: Callable[[Event], None], settle: Callable[[], None]
) -> Result:
    """``result`` with every attempt that was still to make."""
    runs = list(result.runs)
    for method, search, value in _turns(scenario, runs):
        index = len(runs) + 1
        repeat = 1 + sum(run.method == method.name for run in runs)
        total = len(runs) + max(1, runs_left(scenario, runs))
        tried = Attempt(search, value, converged=None).tried
        on_event(RunStarted(method.name, repeat, index, total, warmup=False, tried=tried))
        run = _attempt(with_value(scenario, search, value), method, repeat, out / "logs", on_event)
        runs.append(judged(run, with_value(scenario, search, value), search, value))
        found = frontiers(scenario, runs)
        result = replace(result, runs=tuple(runs), frontiers=found, warnings=tuple(doubts(found)))
        save_result(result, out / "result.json")
        settle()
        on_event(RunFinished(runs[-1]))
    return result


def _saved(scenario: Scenario, path: Path) -> Result:
    result = load_result(path)
    if dict(result.scenario) != scenario.model_dump(mode="json"):
        raise UserError(f"{path}: was run with other settings than these: repeat them, or leave --resume away")
    return result


def _turns(scenario: Scenario, runs: list[Run]) -> Iterator[tuple[Method, str, float]]:
    """Search by search, one attempt of each method that has one to make, round by round; ``runs`` grows meanwhile."""
    for search in scenario.frontier.searches if scenario.frontier is not None else ():
        tried = -1
        while tried != len(runs):
            tried = len(runs)
            for method in scenario.methods:
                value = next_value(scenario, method, search, runs)
                if value is not None:
                    yield method, search, value


def _attempt(scenario: Scenario, method: Method, repeat: int, logs: Path, on_event: Callable[[Event], None]) -> Run:
    try:
        with runner.open_lab(scenario) as lab:
            return runner.one_run(lab, method, repeat, logs / f"{method.name}-attempt-{repeat}", on_event)
    except ResultError:
        raise
    except PageferryError as exc:  # what was there for the first lab: this attempt says nothing, the search goes on
        error = f"{type(exc).__name__}: {exc}"
        return Run(method.name, repeat, warmup=False, status="failed", reason=str(exc), error=error)
