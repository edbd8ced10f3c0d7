from dataclasses import replace

import pytest
import report_samples as samples

from reports.run.view import compare


def slower(result, method, factor):
    runs = tuple(
        replace(r, total_time_s=r.total_time_s * factor) if r.method == method and r.total_time_s else r
        for r in result.runs
    )
    return samples.summarised(replace(result, runs=runs))


def line(view, method, metric):
    return next(x for x in view.lines if (x.method, x.metric) == (method, metric))


def test_a_result_against_itself_shows_no_difference():
    view = compare(samples.live(), samples.live())
    assert {x.tone for x in view.lines} == {"unclear"}
    assert (view.warnings, [table.rows for table in view.differences]) == ((), [(), ()])
    assert line(view, "isal-1", "Total time (ms)").ratio == "1.000"


def test_a_slower_method_is_called_worse_with_ratio_and_interval():
    view = compare(samples.live(), slower(samples.live(), "isal-1", 1.5), ("old", "new"))
    worse = line(view, "isal-1", "Total time (ms)")
    assert (worse.ratio, worse.change, worse.tone, worse.meaning) == ("1.500", "+50\u00a0%", "worse", "worse")
    assert worse.interval.startswith("+4")
    assert line(view, "zstd-1", "Total time (ms)").tone == "unclear"
    assert view.sentences == ("Of 40 figures in both, new has 0 better, 1 worse, 39 without a clear difference.",
                              "Worse: isal-1: Total time (ms) +50\u00a0%.")  # fmt: skip


def test_a_higher_ratio_is_better():
    result = samples.live()
    runs = tuple(replace(r, ratio=r.ratio * 1.4) if r.ratio else r for r in result.runs)
    assert (
        line(compare(result, samples.summarised(replace(result, runs=runs))), "isal-1", "Wire ratio").tone == "better"
    )


def test_two_runs_are_too_few_to_tell():
    view = compare(samples.live(repeats=2), slower(samples.live(repeats=2), "isal-1", 3))
    assert line(view, "isal-1", "Total time (ms)").meaning == "too few runs to tell"


def test_another_scenario_and_machine_are_warned_of():
    a, b = samples.live(), samples.live(bandwidth=None)
    view = compare(a, replace(b, environment={**b.environment, "cpu_model": "Other", "load_1min": 9.0}))
    assert list(view.differences[0].rows) == [("link.bandwidth_bytes_per_s", "1 Gbit/s", "unlimited")]
    assert view.warnings[0].startswith("The scenarios differ in 1 setting (link.bandwidth_bytes_per_s)")
    assert view.warnings[1] == "The environments differ (cpu_model): the change may come from them."


def test_links_of_two_lengths_are_warned_of():
    a = samples.live()
    far = {**a.scenario, "link": {**a.scenario["link"], "delay_s": 0.05, "jitter_s": 0.0}}
    near = {**a.scenario, "link": {**a.scenario["link"], "delay_s": 0.0, "jitter_s": 0.0}}
    view = compare(replace(a, scenario=near), replace(a, scenario=far))
    assert list(view.differences[0].rows) == [("link.delay_s", "0 ms each way", "50 ms each way")]


FLAT = {"accel": "auto", "qemu": "qemu-system-x86_64", "memory_bytes": 1 << 29, "seed": 1, "path": None}


@pytest.mark.parametrize(
    ("older", "newer", "differing"),
    [
        ({**FLAT, "kind": "synthetic"}, {"kind": "synthetic", "memory_bytes": 1 << 29, "seed": 1}, []),
        ({**FLAT, "kind": "synthetic"}, {"kind": "synthetic", "memory_bytes": 1 << 30, "seed": 1}, ["memory_bytes"]),
        ({**FLAT, "kind": "stream", "path": "/a"}, {"kind": "stream", "path": "/a"}, []),
        ({**FLAT, "kind": "stream", "path": "/a"}, {"kind": "stream", "path": "/b"}, ["path"]),
        ({**FLAT, "kind": "stress"}, {key: value for key, value in FLAT.items() if value} | {"kind": "stress"}, []),
        ({**FLAT, "kind": "stress"}, {**FLAT, "kind": "stress", "new": 5}, ["new"]),
        ({**FLAT, "kind": "stress", "accel": "kvm"}, {"kind": "stress", "memory_bytes": 1 << 29, "seed": 1}, ["accel", "qemu"]),
    ],
)  # fmt: skip
def test_keys_that_older_results_have_of_other_kinds_are_no_difference(older, newer, differing):
    old, new = samples.live(), samples.live()
    old = replace(old, scenario={**old.scenario, "guest": older, "link": {**old.scenario["link"], "loss": 0.0}})
    view = compare(old, replace(new, scenario={**new.scenario, "guest": newer}))
    assert [row[0] for row in view.differences[0].rows] == [f"guest.{key}" for key in differing]


def test_a_switch_at_the_top_that_only_one_result_has_is_a_difference():
    old, new = samples.live(), samples.live()
    without = {key: value for key, value in old.scenario.items() if key != "return_path"}
    view = compare(replace(old, scenario=without), replace(new, scenario={**without, "return_path": False}))
    assert [row[0] for row in view.differences[0].rows] == ["return_path"]


def test_methods_in_one_result_only_are_named():
    view = compare(samples.live(), samples.one_method(), ("A", "B"))
    assert "zstd-1: completed runs only in A" in view.only
    assert "card-9: completed runs in neither" in view.only
    assert {x.method for x in view.lines} == {"original"}


def test_each_method_is_named_once_even_without_a_total_time():
    result = samples.live()
    cut = {m: {k: v for k, v in s.items() if k != "total_time_s"} for m, s in result.summary.items()}
    view = compare(replace(result, summary=cut), result)
    assert [x.method for x in view.lines if x.first] == [
        "original",
        "qemu-compress-zlib-1",
        "zlib-1",
        "isal-1",
        "zstd-1",
    ]


def test_nothing_in_common_is_a_sentence():
    assert compare(samples.live(), samples.empty()).sentences == ("The results share no method with figures in both.",)
