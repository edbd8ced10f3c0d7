"""Medians, intervals, effects and doubts over made-up runs."""

import re

import pytest

from harness.results.metrics import METRICS
from harness.results.result import CpuSeconds, Run
from harness.results.stats import doubts, machine_doubts, summarise
from harness.results.work import GuestWork


def run(method, total, repeat=1, **fields):
    known = {"status": "completed", "warmup": False, "verified": True} | fields
    return Run(method, repeat, total_time_s=total, **known)


def several(method, totals, **fields):
    return [run(method, total, repeat, **fields) for repeat, total in enumerate(totals, start=1)]


def worked(lost_s, within_s):
    """A second's migration with half a second's stop, at which the guest lost so much, give or take."""
    paces = {"before_per_s": 8.0, "during_per_s": 4.0, "after_per_s": 7.0}
    return GuestWork("file", 1.0, 1.5, 1.75, 2.75, **paces, lost_s=lost_s, lost_within_s=within_s, points=())


def test_every_declared_metric_is_summarised():
    cpu = CpuSeconds(source_qemu=1.0, destination_qemu=2.0, sender=4.0, receiver=8.0)
    fields = dict.fromkeys(("downtime_s", "downtime_reported_s", "heartbeat_gap_s", "ratio"), 0.5)
    counts = dict.fromkeys(("wire_bytes", "stream_bytes", "passes"), 7)
    of_qemu = ("postcopy_s", "postcopy_vcpu_blocked_s", "postcopy_latency_s", "postcopy_requests", "throttle_share")
    of_qemu += ("page_request_p50_s", "page_request_p99_s")
    fields |= {"counters": {f"qemu_{name}": 3 for name in of_qemu}, "work": worked(1.2, 0.1)}
    found = summarise([run("a", 1.0, cpu_s=cpu, vcpu_s=2.5, **fields, **counts)], "a")["a"]
    assert set(found) == set(METRICS)
    assert [found[f"cpu_{side}_s"].median for side in ("source", "destination", "total")] == [5.0, 10.0, 15.0]
    assert found["wire_bytes"].median == 7
    assert [found[f"work_{when}_per_s"].median for when in ("before", "during", "after")] == [8.0, 4.0, 7.0]
    assert [found[name].median for name in ("work_lost_s", "guest_pace", "vcpu_s")] == [1.2, 0.5, 2.5]


def test_warm_ups_and_runs_that_did_not_complete_are_not_counted():
    others = [run("a", 99.0, warmup=True), run("a", 99.0, status="timeout"), run("a", 99.0, status="failed")]
    runs = [*several("a", [1.0, 2.0, 3.0]), *others, run("b", None, status="skipped")]
    found = summarise(runs, "a")
    assert found["a"]["total_time_s"].n == 3
    assert found["a"]["total_time_s"].median == 2.0
    assert "b" not in found


def test_a_metric_nobody_measured_is_absent():
    assert "downtime_s" not in summarise([run("a", 1.0)], "a")["a"]


@pytest.mark.parametrize("counters", [{"guest_operations_per_s_before": 0.0, "guest_operations_per_s_during": 1.0}, {}])
def test_a_guest_that_did_nothing_before_has_no_pace(counters):
    assert "guest_pace" not in summarise([run("a", 1.0, counters=counters)], "a")["a"]


def test_the_interval_is_two_of_the_runs_and_says_how_surely_it_holds():
    totals = [1.0, 1.1, 1.2, 1.3, 1.4, 1.9, 2.0]
    found = summarise(several("a", totals), "a")["a"]["total_time_s"]
    assert (found.ci95, found.coverage) == ((1.0, 2.0), pytest.approx(1 - 2 / 2**7))


@pytest.mark.parametrize("totals", [[1.5], [1.5, 1.5, 1.5, 1.5, 1.5]], ids=["one", "constant"])
def test_an_interval_without_spread_is_the_value(totals):
    found = summarise(several("a", totals), "a")["a"]["total_time_s"]
    assert found.ci95 == (1.5, 1.5)
    assert found.n == len(totals)


def test_two_runs_give_their_range():
    found = summarise(several("a", [1.0, 2.0]), "a")["a"]["total_time_s"]
    assert (found.ci95, found.coverage) == ((1.0, 2.0), 0.5)


def test_the_same_runs_give_the_same_interval_in_any_order():
    totals = [1.0, 1.3, 1.1, 1.9, 1.4, 1.2]
    forth = summarise(several("a", totals), "a")["a"]["total_time_s"]
    back = summarise(several("a", totals[::-1]), "a")["a"]["total_time_s"]
    assert forth == back


def test_effect_is_the_ratio_of_medians_and_the_baseline_has_none():
    runs = several("base", [10.0, 11.0, 12.0, 10.5, 11.5]) + several("fast", [5.0, 5.5, 6.0, 5.2, 5.7])
    found = summarise(runs, "base")
    assert found["base"]["total_time_s"].vs_baseline is None
    assert found["base"]["total_time_s"].p_value is None
    assert found["fast"]["total_time_s"].vs_baseline == pytest.approx(0.5)
    assert found["fast"]["total_time_s"].p_value == pytest.approx(2 / 252)  # the smallest that 5 against 5 can give


def test_equal_methods_do_not_differ():
    runs = several("base", [1.0, 1.0, 1.0], passes=3) + several("same", [1.0, 1.0, 1.0], passes=3)
    found = summarise(runs, "base")["same"]
    assert found["total_time_s"].p_value == pytest.approx(1.0)
    assert found["passes"].vs_baseline == 1.0


def test_one_run_each_has_an_effect_but_no_p_value():
    found = summarise([run("base", 2.0), run("fast", 1.0)], "base")["fast"]["total_time_s"]
    assert (found.vs_baseline, found.p_value) == (0.5, None)


def test_no_effect_against_a_baseline_that_is_missing_or_zero():
    assert summarise([run("fast", 1.0)], "base")["fast"]["total_time_s"].vs_baseline is None
    runs = [run("base", 1.0, downtime_s=0.0), run("fast", 1.0, downtime_s=0.1)]
    assert summarise(runs, "base")["fast"]["downtime_s"].vs_baseline is None
    runs = [run("base", 1.0, work=worked(0.5, 0.1)), run("fast", 1.0, work=worked(-0.5, 0.1))]
    assert summarise(runs, "base")["fast"]["work_lost_s"].vs_baseline is None, "it made up for more than it lost"


def test_quiet_runs_raise_no_doubts():
    quiet = {"passes": 3, "work": worked(0.5, 0.2)}
    runs = several("base", [10.0, 10.1, 10.2, 10.1, 10.0, 10.1], **quiet) + several(
        "x", [5.0, 5.1, 5.0, 5.1, 5.0, 5.1], **quiet
    )
    assert doubts(runs) == []


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        pytest.param(several("a", [1.0, 1.0, 1.0]), "a: only 3 runs; .* 75 %", id="few"),
        pytest.param(several("a", [1.0]), "a: only one run", id="one"),
        pytest.param(several("a", [1.0, 1.5, 2.0, 1.2, 1.9, 1.0]), "a: total time varies widely", id="spread"),
        pytest.param(
            several("a", [1.0, 1.01, 0.99, 1.0, 1.2, 1.0]), "a: repeat 5 is an outlier: 1.200 s", id="outlier"
        ),
        pytest.param(
            several("a", [1.0, 1.01, 1.2, 1.0, 1.2, 1.21]),
            r"a: total times fall into two groups \(3 about 1.000 s, 3 about 1.200 s\)",
            id="two modes",
        ),
        pytest.param(
            several("a", [1.0, 1.01, 1.02, 1.03, 1.04, 1.05]), "a: total time grew by 4% from the first", id="drift"
        ),
        pytest.param(several("a", [1.0] * 6, verified=None), "a: memory was not verified in 6 of 6", id="unverified"),
        pytest.param(
            [*several("a", [1.0] * 6), run("a", None, status="timeout", reason="120 s were over")],
            r"a: 1 of 7 runs did not complete .*120 s were over",
            id="timeout",
        ),
        pytest.param(
            several("a", [1.0] * 6, passes=3) + several("b", [1.0] * 6, passes=9),
            "not do equal work: .* from a 3 to b 9",
            id="passes",
        ),
        pytest.param(
            several("a", [1.0] * 6, work=worked(0.5, 0.3)), r"a: the 0.50 s .* off by 0.30 s, .* migrated\.", id="loss"
        ),
        pytest.param(several("a", [1.0] * 6, work=worked(-0.1, 0.3)), "a: the -0.10 s .* lost nothing", id="no loss"),
        pytest.param(several("a", [1.0] * 6, work=worked(0.5, None)), "a: .* off by any amount", id="unknown loss"),
    ],
)
def test_each_doubt_has_its_sentence(runs, words):
    found = doubts(runs)
    assert len(found) == 1
    assert re.search(words, found[0].sentence)


def test_warm_ups_raise_no_doubts():
    runs = [*several("a", [1.0] * 6), run("a", 9.0, warmup=True, verified=None)]
    assert doubts(runs) == []


@pytest.mark.parametrize(
    ("environment", "count"), [({"load_1min": 3.0, "cores": 2}, 1), ({"load_1min": 0.1, "cores": 2}, 0), ({}, 0)]
)
def test_a_machine_that_was_busy_is_doubted(environment, count):
    assert len(machine_doubts(environment)) == count
