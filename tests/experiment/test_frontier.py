"""What an attempt shows, and what the attempts of all methods add up to."""

from __future__ import annotations

import pytest

from harness.experiment.frontier import doubts, frontiers, judged, next_value, runs_left, with_value
from harness.results.result import Result, Run, load_result, save_result
from harness.scenario.model import Scenario

MIB = 1 << 20
SCENARIO = Scenario.model_validate(
    {
        "name": "edge",
        "description": "a test",
        "downtime_limit": "300ms",
        "timeout": "20s",
        "guest": {"dirty_rate": "50MiB/s"},
        "frontier": {
            "dirty_rate": {"from": "10MiB/s", "to": "400MiB/s"},
            "downtime_limit": {"from": "1ms", "to": "300ms"},
        },
        "method": [
            {"name": "original", "engine": "qemu", "baseline": True},
            {"name": "zstd-1", "engine": "pageferry", "backend": "zstd"},
        ],
    }
)
BASE, OURS = SCENARIO.methods


def run(method, status="completed", wrote_mib=None, downtime_s=0.2, reason=None):
    wrote = None if wrote_mib is None else wrote_mib * MIB
    known = {"downtime_s": downtime_s, "total_time_s": 2.0} if status == "completed" else {}
    return Run(method.name, 1, warmup=False, status=status, guest_dirty_rate_bytes_per_s=wrote, reason=reason, **known)


def at_rate(made, mib):
    value = float(mib * MIB)
    return judged(made, with_value(SCENARIO, "dirty_rate", value), "dirty_rate", value)


def at_limit(made, value_s):
    return judged(made, with_value(SCENARIO, "downtime_limit", value_s), "downtime_limit", value_s)


def search(search_name, method, runs, outcome):
    """Run one method's search to its end; ``outcome(value)`` makes each run."""
    while (value := next_value(SCENARIO, method, search_name, runs)) is not None:
        made = outcome(value)
        runs.append(judged(made, with_value(SCENARIO, search_name, value), search_name, value))
    return runs


def searched(**frontier_of):
    """Dirty-rate searches of both methods, each with its frontier in MiB/s."""
    runs = []
    for name, frontier in frontier_of.items():
        method = {"base": BASE, "ours": OURS}[name]
        search("dirty_rate", method, runs, lambda value, m=method, f=frontier: (
            run(m, wrote_mib=value / MIB) if value <= f * MIB else run(m, "timeout", wrote_mib=value / MIB)
        ))  # fmt: skip
    return runs


def test_what_is_tried_is_all_that_an_attempts_scenario_changes():
    varied = with_value(SCENARIO, "dirty_rate", 7.0 * MIB)
    assert varied.guest.dirty_rate_bytes_per_s == 7 * MIB
    assert varied.model_copy(update={"guest": SCENARIO.guest}) == SCENARIO
    assert with_value(SCENARIO, "downtime_limit", 0.02).downtime_limit_s == 0.02


@pytest.mark.parametrize(
    ("made", "converged", "why"),
    [
        (run(OURS, wrote_mib=100), True, ""),
        (run(OURS, wrote_mib=91), True, ""),
        (run(OURS, wrote_mib=85), False, "the guest wrote 85 MiB/s of 100 MiB/s"),
        (run(OURS), False, "the guest wrote an unknown rate of 100 MiB/s"),
        (run(OURS, wrote_mib=100, downtime_s=0.44), True, ""),
        (run(OURS, wrote_mib=100, downtime_s=0.46), False, "the guest stood still for 460 ms, where 450 ms is the most"),
        (run(OURS, "timeout", wrote_mib=20), False, "no end within 20 s"),
        (run(OURS, "failed", wrote_mib=100), None, ""),
        (run(OURS, "skipped"), None, ""),
    ],
)  # fmt: skip
def test_a_run_converged_if_it_ended_and_the_guest_wrote_as_asked_and_stood_still_no_longer_than_the_limit_allows(
    made, converged, why
):
    attempt = at_rate(made, 100).attempt
    assert (attempt.search, attempt.value, attempt.converged, attempt.why) == ("dirty_rate", 100 * MIB, converged, why)
    assert attempt.guest_limited == ("the guest wrote" in why)


def test_in_a_search_for_the_lowest_limit_the_downtime_is_what_is_observed_not_what_is_judged():
    assert at_limit(run(OURS, wrote_mib=50, downtime_s=0.04), 0.001).attempt.converged is True
    assert at_limit(run(OURS, wrote_mib=40, downtime_s=0.04), 0.001).attempt.guest_limited
    assert at_limit(run(OURS, "timeout", wrote_mib=50), 0.001).attempt.converged is False


def test_both_brackets_and_what_they_allow_the_ratio_to_be():
    base, ours = frontiers(SCENARIO, searched(base=110, ours=300))
    assert base.converged_at <= 110 * MIB < base.failed_at
    assert ours.converged_at <= 300 * MIB < ours.failed_at
    assert base.vs_baseline is None
    assert ours.vs_baseline == pytest.approx(ours.converged_at / base.converged_at)
    low, high = ours.vs_baseline_range
    assert low == ours.converged_at / base.failed_at < 300 / 110 < high == ours.failed_at / base.converged_at
    assert ours.converged_runs == (3, 3)
    assert ours.failed_runs == (2, 2)
    assert len(ours.downtimes_s) == len(ours.dirty_rates_bytes_per_s) == 3
    assert ours.finished
    assert not list(doubts([base, ours]))


def test_the_lowest_limit_has_its_bounds_the_other_way_round_and_its_downtimes_compared():
    runs = []
    for method, frontier_s, downtime_s in ((BASE, 0.1, 0.2), (OURS, 0.03, 0.05)):
        search("downtime_limit", method, runs, lambda value, m=method, f=frontier_s, d=downtime_s: (
            run(m, wrote_mib=50, downtime_s=d) if value >= f else run(m, "timeout", wrote_mib=50)
        ))  # fmt: skip
    base, ours = frontiers(SCENARIO, runs)
    assert base.failed_at < 0.1 <= base.converged_at
    low, high = ours.vs_baseline_range
    assert low == ours.failed_at / base.converged_at < 0.3 < high == ours.converged_at / base.failed_at
    assert ours.downtime_vs_baseline == pytest.approx(0.25)


def test_where_only_the_guest_was_too_slow_the_ratio_has_no_upper_bound_and_it_is_told():
    runs = searched(base=110)
    search("dirty_rate", OURS, runs, lambda value: run(OURS, wrote_mib=min(value / MIB, 200)))
    _, ours = frontiers(SCENARIO, runs)
    assert ours.guest_limited
    assert ours.converged_at <= 200 * MIB / 0.9 < ours.failed_at * 1.01
    assert ours.vs_baseline_range[0] is not None
    assert ours.vs_baseline_range[1] is None
    (doubt,) = doubts([ours])
    assert doubt.sentence.startswith("zstd-1: at a dirty rate of ")
    assert "the guest wrote less than it was asked to" in doubt.sentence


def test_what_converges_everywhere_or_nowhere_has_an_open_end():
    base, ours = frontiers(SCENARIO, searched(base=1, ours=1000))
    assert (base.converged_at, base.failed_at) == (None, 10 * MIB)
    assert (ours.converged_at, ours.failed_at) == (400 * MIB, None)
    assert ours.vs_baseline is None
    assert ours.vs_baseline_range == (40.0, None)


def test_failed_runs_say_nothing_and_too_many_end_the_search():
    runs = search("dirty_rate", OURS, [], lambda value: run(OURS, "failed", reason="the link died"))
    assert len(runs) == SCENARIO.frontier.attempts
    (only,) = frontiers(SCENARIO, runs)
    assert (only.converged_at, only.failed_at, only.finished) == (None, None, False)
    assert [doubt.sentence for doubt in doubts([only])] == [
        "zstd-1: dirty rate: given up after 3 failed runs: the link died."
    ]
    assert next_value(SCENARIO, OURS, "downtime_limit", runs) is not None


def test_one_failed_run_is_made_again():
    runs = [at_rate(run(OURS, "failed"), 10)]
    assert next_value(SCENARIO, OURS, "dirty_rate", runs) == 10 * MIB


def test_a_skipped_method_is_not_tried_again_by_either_search():
    runs = [at_rate(run(OURS, "skipped", reason="no zstd here"), 10)]
    assert next_value(SCENARIO, OURS, "dirty_rate", runs) is None
    assert next_value(SCENARIO, OURS, "downtime_limit", runs) is None
    assert [doubt.sentence for doubt in doubts(frontiers(SCENARIO, runs))] == [
        "zstd-1: dirty rate: skipped: no zstd here."
    ]


def test_the_runs_left_come_down_to_none():
    runs = []
    assert runs_left(SCENARIO, runs) > 20
    for method in SCENARIO.methods:
        search("dirty_rate", method, runs, lambda value, m=method: run(m, wrote_mib=value / MIB))
        search("downtime_limit", method, runs, lambda _, m=method: run(m, wrote_mib=50))
    assert runs_left(SCENARIO, runs) == 0


def test_frontiers_survive_their_file_and_follow_from_its_runs(tmp_path):
    runs = tuple(searched(base=110, ours=300))
    result = Result(SCENARIO.model_dump(mode="json"), {}, runs=runs, frontiers=frontiers(SCENARIO, runs))
    save_result(result, tmp_path / "result.json")
    read = load_result(tmp_path)
    assert read.frontiers == result.frontiers
    assert frontiers(SCENARIO, read.runs) == result.frontiers
