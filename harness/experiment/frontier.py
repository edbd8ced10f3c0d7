"""The plan of a search: which runs converged, what to try next, and where each method's frontier is. No I/O.

QEMU stops the guest only when it believes that what is left fits into the downtime limit. So a migration that does not
converge goes on until the scenario's timeout, and one that ends can still have stopped the guest for longer than the limit:
what waits in buffers is downtime that QEMU does not see. Both are judged here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from harness.experiment.bisection import MOST_TRIES, Bisection
from harness.experiment.plan import Plan, Turn
from harness.results.doubt import Doubt
from harness.results.doubts import GuestLimited, Unsettled
from harness.results.result import Result, Run
from harness.results.search import Attempt, Frontier, value_text
from harness.scenario.methods import Method
from harness.scenario.model import Scenario

LEAST_RATE = 0.9
"""Of the dirty rate asked for: what the guest must have written for its run to tell of that rate."""
MOST_OVER = 1.5
"""Times the downtime limit: a guest that stood still for longer did not stay within it, whatever QEMU believed. With a
limit of 300 ms QEMU alone stopped for 276 to 340 ms (300 Mbit/s and 1 Gbit/s, n=13, 2-core Intel Xeon, 2026-11-25): half as
much again is no accident any more."""

_RATE_STEP_BYTES_PER_S = float(1 << 17)
_LIMIT_STEP_S = 0.001  # QEMU's own


class Frontiers(Plan):
    """Search by search, one attempt of each method that has one to make, in turns: a machine that slows down slows all of them."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def next(self, runs: Sequence[Run]) -> Turn | None:
        """The next attempt of the method behind the one that ran last, or of the next one that has any to make."""
        for search in _searches(self._scenario):
            for method in self._behind_last(search, runs):
                value = next_value(self._scenario, method, search, runs)
                if value is not None:
                    repeat = 1 + sum(run.method == method.name for run in runs)
                    total = len(runs) + max(1, runs_left(self._scenario, runs))
                    tried = with_value(self._scenario, search, value)
                    attempt = Attempt(search, value, converged=None)
                    return Turn(method, repeat, len(runs) + 1, total, tried, attempt=attempt)
        return None

    def judged(self, run: Run, turn: Turn) -> Run:
        """With what the attempt showed."""
        assert turn.attempt is not None  # noqa: S101 - for the type checker: every turn of a search has one
        return judged(run, turn.scenario, turn.attempt.search, turn.attempt.value)

    def concluded(self, result: Result) -> Result:
        """Every frontier, as far as it is known."""
        found = frontiers(self._scenario, result.runs)
        return replace(result, frontiers=found, doubts=(*self._scenario.guest.doubts, *doubts(found)))

    def _behind_last(self, search: str, runs: Sequence[Run]) -> tuple[Method, ...]:
        methods = self._scenario.methods
        last = next((run.method for run in reversed(runs) if run.attempt and run.attempt.search == search), None)
        after = 1 + next((index for index, method in enumerate(methods) if method.name == last), -1)
        return methods[after:] + methods[:after]


def with_value(scenario: Scenario, search: str, value: float) -> Scenario:
    """The scenario with what one attempt tries."""
    if search == "downtime_limit":
        return scenario.model_copy(update={"downtime_limit_s": value})
    guest = scenario.guest.model_copy(update={"dirty_rate_bytes_per_s": round(value)})
    return scenario.model_copy(update={"guest": guest})


def judged(run: Run, scenario: Scenario, search: str, value: float) -> Run:
    """``run`` with its attempt; ``scenario`` is the one that it was made with."""
    attempt = Attempt(search, value, converged=None)
    asked, wrote = getattr(scenario.guest, "dirty_rate_bytes_per_s", 0), run.guest_dirty_rate_bytes_per_s
    if run.status == "timeout":
        return replace(run, attempt=replace(attempt, converged=False, why=f"no end within {scenario.timeout_s:g} s"))
    if run.status != "completed":
        return replace(run, attempt=attempt)
    if asked and (wrote is None or wrote < LEAST_RATE * asked):
        told = "an unknown rate" if wrote is None else value_text("dirty_rate", wrote)
        why = f"the guest wrote {told} of {value_text('dirty_rate', asked)}"
        return replace(run, attempt=replace(attempt, converged=False, why=why, guest_limited=True))
    most_s = MOST_OVER * scenario.downtime_limit_s
    if search == "dirty_rate" and (run.downtime_s is None or run.downtime_s > most_s):
        stood = "an unknown time" if run.downtime_s is None else value_text("downtime_limit", run.downtime_s)
        why = f"the guest stood still for {stood}, where {value_text('downtime_limit', most_s)} is the most"
        return replace(run, attempt=replace(attempt, converged=False, why=why))
    return replace(run, attempt=replace(attempt, converged=True))


def next_value(scenario: Scenario, method: Method, search: str, runs: Sequence[Run]) -> float | None:
    """What ``method`` is to try next; None when its search has ended, one way or another."""
    if _given_up(scenario, method, search, runs):
        return None
    return _bisection(scenario, search, _of(method, search, runs)).next_value()


def runs_left(scenario: Scenario, runs: Sequence[Run]) -> int:
    """About how many runs are still to come."""
    return sum(
        _bisection(scenario, search, _of(method, search, runs)).left()
        for search in _searches(scenario)
        for method in scenario.methods
        if not _given_up(scenario, method, search, runs)
    )


def frontiers(scenario: Scenario, runs: Sequence[Run]) -> tuple[Frontier, ...]:
    """Every method's, by search; what no run has been made for is left out."""
    found = []
    for search in _searches(scenario):
        of_search = [_frontier(scenario, m, search, runs) for m in scenario.methods if _of(m, search, runs)]
        base = next((each for each in of_search if each.method == scenario.baseline.name), None)
        found += [each if base is None or each is base else _against(each, base) for each in of_search]
    return tuple(found)


def doubts(found: Sequence[Frontier]) -> Iterator[Doubt]:
    """One for each frontier that is not what it seems."""
    for each in found:
        if each.note:
            yield Unsettled(each.method, each.search, each.note)
        elif each.guest_limited and each.failed_at is not None:
            yield GuestLimited(each.method, each.search, each.failed_at)


def _searches(scenario: Scenario) -> tuple[str, ...]:
    return () if scenario.frontier is None else scenario.frontier.searches


def _of(method: Method, search: str, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.method == method.name and run.attempt and run.attempt.search == search]


def _bisection(scenario: Scenario, search: str, runs: Sequence[Run]) -> Bisection:
    """As the runs have brought it."""
    wanted = scenario.frontier
    assert wanted is not None  # noqa: S101 - for the type checker: whoever searches has one
    bisect = functools.partial(Bisection, tolerance=wanted.tolerance, votes=wanted.attempts)
    if search == "downtime_limit":
        assert wanted.downtime_limit is not None  # noqa: S101 - checked with the scenario
        state = bisect(wanted.downtime_limit.to_s, wanted.downtime_limit.from_s, step=_LIMIT_STEP_S)
    else:
        assert wanted.dirty_rate is not None  # noqa: S101
        ends = wanted.dirty_rate.from_bytes_per_s, wanted.dirty_rate.to_bytes_per_s
        state = bisect(*map(float, ends), step=_RATE_STEP_BYTES_PER_S)
    for run in runs:
        if run.attempt is not None and run.attempt.converged is not None:
            state = state.after(run.attempt.value, worked=run.attempt.converged)
    return state


def _given_up(scenario: Scenario, method: Method, search: str, runs: Sequence[Run]) -> str:
    """Why the search was broken off; empty where it was not."""
    own = [run for run in runs if run.method == method.name]
    skipped = next((run for run in own if run.status == "skipped"), None)
    if skipped is not None:
        return f"skipped: {skipped.reason}"
    failed = [run for run in _of(method, search, own) if run.status == "failed"]
    most = 1 if scenario.frontier is None else scenario.frontier.attempts
    return f"given up after {len(failed)} failed runs: {failed[-1].reason}" if len(failed) >= most else ""


def _frontier(scenario: Scenario, method: Method, search: str, runs: Sequence[Run]) -> Frontier:
    own = _of(method, search, runs)
    state = _bisection(scenario, search, own)
    converged_at, failed_at = state.bracket()
    good = _ended(own, converged_at, converged=True)
    bad = _ended(own, failed_at, converged=False)
    limited = sum(run.attempt is not None and run.attempt.guest_limited for run in bad)
    note = _given_up(scenario, method, search, runs)
    if not note and len(state.tried) >= MOST_TRIES:
        note = f"its outcomes contradict each other: not settled after {MOST_TRIES} runs"
    return Frontier(
        method.name,
        search,
        converged_at,
        failed_at,
        converged_runs=(len(good), sum(value == converged_at for value, _ in state.tried)),
        failed_runs=(len(bad), sum(value == failed_at for value, _ in state.tried)),
        downtimes_s=tuple(run.downtime_s for run in good if run.downtime_s is not None),
        dirty_rates_bytes_per_s=tuple(
            run.guest_dirty_rate_bytes_per_s for run in good if run.guest_dirty_rate_bytes_per_s is not None
        ),
        runs=len(own),
        finished=not note and state.next_value() is None,
        guest_limited=limited * 2 > len(bad),
        note=note,
    )


def _ended(runs: Sequence[Run], value: float | None, *, converged: bool) -> list[Run]:
    return [r for r in runs if r.attempt and r.attempt.value == value and r.attempt.converged is converged]


def _against(frontier: Frontier, base: Frontier) -> Frontier:
    """With its ratios to the baseline's. What the guest could not show bounds nothing."""
    own_far = None if frontier.guest_limited else frontier.failed_at
    base_far = None if base.guest_limited else base.failed_at
    ends = _ratio(frontier.converged_at, base_far), _ratio(own_far, base.converged_at)
    downtime = None
    if frontier.downtimes_s and base.downtimes_s:
        downtime = _ratio(median(frontier.downtimes_s), median(base.downtimes_s))
    return replace(
        frontier,
        vs_baseline=_ratio(frontier.converged_at, base.converged_at),
        vs_baseline_range=ends[::-1] if frontier.search == "downtime_limit" else ends,
        downtime_vs_baseline=downtime,
    )


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None
