"""Which run is next, told by the runs that there are: the one question that repeats and searches answer differently. No I/O."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.results import stats
from harness.results.result import Result, Run
from harness.results.search import Attempt
from harness.scenario.methods import Method
from harness.scenario.model import Scenario


@dataclass(frozen=True, slots=True)
class Turn:
    """A run to make. ``index`` counts from 1; ``total``, of all runs, may be a guess. ``scenario``: as it is for this run.

    ``attempt``: what a search tries with it.
    """

    method: Method
    repeat: int
    index: int
    total: int
    scenario: Scenario
    warmup: bool = False
    attempt: Attempt | None = None

    @property
    def name(self) -> str:
        """Of the folder of its logs."""
        kind = "attempt" if self.attempt is not None else "warmup" if self.warmup else "repeat"
        return f"{self.method.name}-{kind}-{self.repeat}"


class Plan(abc.ABC):
    """Of one scenario. What it says follows from the runs alone, so that an experiment can go on where it stopped."""

    @abc.abstractmethod
    def next(self, runs: Sequence[Run]) -> Turn | None:
        """What to run after ``runs``; None: that was all."""

    @abc.abstractmethod
    def judged(self, run: Run, turn: Turn) -> Run:
        """``run`` with what it showed, as the turn that it was."""

    @abc.abstractmethod
    def concluded(self, result: Result) -> Result:
        """With what all of its runs show."""


class Repeats(Plan):
    """Warm-ups first; then every repeat runs each method once, beginning one further each time, so that none is always first.

    What this machine cannot run is tried once.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        methods = scenario.methods
        order = [(method, repeat, True) for repeat in range(1, scenario.warmups + 1) for method in methods]
        for repeat in range(scenario.repeats):
            first = repeat % len(methods)
            order += [(method, repeat + 1, False) for method in methods[first:] + methods[:first]]
        self._turns = [
            Turn(method, repeat, index, len(order), scenario, warmup)
            for index, (method, repeat, warmup) in enumerate(order, start=1)
        ]

    def next(self, runs: Sequence[Run]) -> Turn | None:
        """The first in the order that has not been made, of a method that can be run."""
        made = {(run.method, run.repeat, run.warmup) for run in runs}
        skipped = {run.method for run in runs if run.status == "skipped"}
        return next(
            (
                turn
                for turn in self._turns
                if turn.method.name not in skipped and (turn.method.name, turn.repeat, turn.warmup) not in made
            ),
            None,
        )

    def judged(self, run: Run, turn: Turn) -> Run:
        """By its number."""
        return replace(run, warmup=turn.warmup)

    def concluded(self, result: Result) -> Result:
        """Each method's summary against the baseline."""
        summary = stats.summarise(result.runs, self._scenario.baseline.name)
        return replace(
            result,
            summary=summary,
            doubts=(
                *self._scenario.guest.doubts,
                *stats.machine_doubts(result.environment),
                *stats.doubts(result.runs),
            ),
        )
