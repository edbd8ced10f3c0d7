"""Which run is next, as properties of the plans alone: no run is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment.frontier import Frontiers
from harness.experiment.plan import Repeats
from harness.guests.stress.kind import StressSettings
from harness.results.doubts import NotPreallocated
from harness.results.result import Result, Run
from harness.scenario.frontier import FrontierSearch
from harness.scenario.methods import QemuMethod
from harness.scenario.model import Scenario

MIB = 1 << 20
counts = st.integers(1, 5)


def scenario(methods: int, **settings) -> Scenario:
    named = tuple(QemuMethod(name=f"m{number}", baseline=number == 0) for number in range(methods))
    return Scenario(name="s", description="s", method=named, **settings)


def carried_out(plan, run_of, most=10_000, runs=()):
    """All turns, each judged as ``run_of`` says; the runs."""
    turns, runs = [], list(runs)
    while (turn := plan.next(runs)) is not None and len(turns) < most:
        turns.append(turn)
        runs.append(plan.judged(run_of(turn), turn))
    return turns, runs


def completed(turn) -> Run:
    return Run(turn.method.name, turn.repeat, turn.warmup, status="completed")


@settings(deadline=None)
@given(methods=counts, repeats=counts, warmups=st.integers(0, 3))
def test_every_method_runs_as_often_as_asked_and_none_is_always_first(methods, repeats, warmups):
    turns, runs = carried_out(Repeats(scenario(methods, repeats=repeats, warmups=warmups)), completed)
    assert Counter((run.method, run.warmup) for run in runs) == Counter(
        {(f"m{n}", True): warmups for n in range(methods)} | {(f"m{n}", False): repeats for n in range(methods)}
    )
    assert [turn.index for turn in turns] == list(range(1, turns[0].total + 1))
    assert [run.warmup for run in runs] == sorted((run.warmup for run in runs), reverse=True)
    counted = [run.method for run in runs if not run.warmup]
    firsts = Counter(counted[at] for at in range(0, len(counted), methods))
    assert max(firsts.values()) - min(firsts.get(f"m{n}", 0) for n in range(methods)) <= 1
    for at in range(0, len(counted), methods):
        assert len(set(counted[at : at + methods])) == methods


@settings(deadline=None)
@given(methods=counts, repeats=counts, stop=st.integers(0, 40))
def test_what_is_next_follows_from_the_runs_alone(methods, repeats, stop):
    asked = scenario(methods, repeats=repeats)
    turns, runs = carried_out(Repeats(asked), completed)
    rest, _ = carried_out(Repeats(asked), completed, runs=runs[:stop])
    assert rest == turns[stop:]


@settings(deadline=None)
@given(methods=st.integers(2, 5), lacking=st.integers(0, 4))
def test_what_cannot_run_here_is_tried_once(methods, lacking):
    name = f"m{lacking % methods}"

    def run_of(turn):
        return replace(completed(turn), status="skipped" if turn.method.name == name else "completed")

    _, runs = carried_out(Repeats(scenario(methods, repeats=3)), run_of)
    assert [run.method for run in runs].count(name) == 1
    assert len(runs) == 1 + (methods - 1) * 4


edges = st.integers(10 * MIB, 400 * MIB)


def converging(asked: dict[str, int]):
    """A guest that converges up to its method's edge."""

    def run_of(turn):
        rate = turn.scenario.guest.dirty_rate_bytes_per_s
        if rate > asked[turn.method.name]:
            return replace(completed(turn), status="timeout")
        return replace(completed(turn), downtime_s=0.1, guest_dirty_rate_bytes_per_s=float(rate))

    return run_of


@settings(deadline=None)
@given(found=st.lists(edges, min_size=1, max_size=3), attempts=st.sampled_from([1, 3, 5]))
def test_a_search_ends_and_its_bracket_holds_the_edge(found, attempts):
    sought = {"dirty_rate": {"from": 10 * MIB, "to": 400 * MIB}, "attempts": attempts}
    asked = scenario(len(found), frontier=FrontierSearch.model_validate(sought))
    edge = {f"m{number}": value for number, value in enumerate(found)}
    plan = Frontiers(asked)
    turns, runs = carried_out(plan, converging(edge), most=300)
    assert plan.next(runs) is None
    for each in plan.concluded(result_of(runs)).frontiers:
        assert each.finished
        assert each.converged_at <= edge[each.method]
        assert each.failed_at is None or edge[each.method] < each.failed_at
        assert each.failed_at is not None or each.converged_at == 400 * MIB
    stop = len(turns) // 2
    assert carried_out(Frontiers(asked), converging(edge), runs=runs[:stop])[0] == turns[stop:]


def result_of(runs):
    return Result({}, {}, runs=tuple(runs))


def test_methods_take_turns_in_a_search():
    sought = FrontierSearch.model_validate({"dirty_rate": {"from": 10 * MIB, "to": 400 * MIB}})
    edge = {"m0": 100 * MIB, "m1": 300 * MIB}
    turns, _ = carried_out(Frontiers(scenario(2, frontier=sought)), converging(edge))
    assert [turn.method.name for turn in turns[:6]] == ["m0", "m1"] * 3


@pytest.mark.parametrize("plan", [Repeats, Frontiers])
def test_logs_of_different_turns_are_in_different_folders(plan):
    sought = FrontierSearch.model_validate({"dirty_rate": {"from": 10 * MIB, "to": 400 * MIB}})
    asked = scenario(2, frontier=None if plan is Repeats else sought)
    turns, _ = carried_out(plan(asked), completed if plan is Repeats else converging({"m0": 50 * MIB, "m1": 90 * MIB}))
    assert len({turn.name for turn in turns}) == len(turns)


@pytest.mark.parametrize("plan", [Repeats, Frontiers])
@pytest.mark.parametrize("prealloc", [True, False])
def test_figures_of_memory_that_is_touched_first_are_doubted(plan, prealloc):
    search = FrontierSearch.model_validate({"dirty_rate": {"from": MIB, "to": 9 * MIB}})
    asked = scenario(1, guest=StressSettings(prealloc=prealloc), frontier=search)
    doubts = plan(asked).concluded(Result({}, {})).doubts
    assert doubts == (() if prealloc else (NotPreallocated("guest.prealloc = false"),))
