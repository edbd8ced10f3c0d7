from dataclasses import replace

import pytest
import report_samples as samples

from reports.run.comparison import compare


def slower(result, method, factor):
    runs = tuple(
        replace(r, total_time_s=r.total_time_s * factor) if r.method == method and r.total_time_s else r
        for r in result.runs
    )
    return samples.summarised(replace(result, runs=runs))


def line(view, method, metric):
    return next(x for x in view.lines if (x.method, x.metric) == (method, metric))


def test_a_result_against_itself_is_nowhere_better_or_worse():
    view = compare(samples.live(repeats=7), samples.live(repeats=7))
    assert {x.of.word for x in view.lines} <= {"unclear", "same", "unjudged"}
    assert (view.warnings, view.unlike, [table.rows for table in view.differences]) == ((), (), [(), ()])
    assert line(view, "isal-1", "Total time (ms)").ratio == "1.000"


def test_a_slower_method_is_called_worse_with_ratio_and_interval():
    old = samples.live(repeats=7)
    view = compare(old, slower(old, "isal-1", 1.5), ("old", "new"))
    worse = line(view, "isal-1", "Total time (ms)")
    assert (worse.ratio, worse.change, worse.meaning) == ("1.500", "+50\u00a0%", "worse")
    assert worse.interval.startswith("+4")
    assert worse.interval.endswith("(99.8\u00a0%)")
    assert line(view, "zstd-1", "Total time (ms)").of.word != "worse"
    assert view.sentences[0].startswith("Of 20 figures with a verdict, new has 0 better, 1 worse, ")
    assert view.sentences[1].startswith("Worse: isal-1: total time +50\u00a0% (+4")
    assert [x.of.metric.primary for x in view.lines if x.method == "isal-1"][:5] == [True] * 4 + [False]


def test_what_is_no_primary_figure_has_no_verdict():
    result = samples.live(repeats=7)
    runs = tuple(replace(r, ratio=r.ratio * 1.4) if r.ratio else r for r in result.runs)
    ratio = line(compare(result, replace(result, runs=runs)), "isal-1", "Wire ratio")
    assert (ratio.change, ratio.meaning) == ("+40\u00a0%", "no verdict")


def test_two_runs_are_too_few_to_tell():
    view = compare(samples.live(repeats=2), slower(samples.live(repeats=2), "isal-1", 3))
    found = line(view, "isal-1", "Total time (ms)")
    assert found.meaning == "cannot tell, needs n = 7"
    assert view.sentences[0].startswith(
        "2 runs decide nothing, however far apart figures lie: a verdict takes 7 runs of each"
    )
    assert found.interval == "\u2013"


def test_only_the_smallest_effect_that_matters_makes_two_figures_the_same():
    old = samples.live(repeats=10)
    new = slower(old, "isal-1", 1.001)
    verdicts = [
        line(compare(old, new, smallest=share), "isal-1", "Total time (ms)").of.word for share in (0.001, 0.02, 0.2)
    ]
    assert verdicts[::2] == ["unclear", "same"]


def test_a_method_that_completes_no_more_or_wrongly_is_lost():
    old = samples.live()
    gone = tuple(replace(r, status="failed") if r.method == "zlib-1" else r for r in old.runs)
    wrong = tuple(replace(r, verified=r.method != "isal-1") for r in gone)
    assert compare(old, replace(old, runs=wrong)).lost == (
        "zlib-1: no run completed",
        "isal-1: memory was wrong after 6 of 6 runs",
    )


def test_another_scenario_and_machine_are_warned_of():
    a, b = samples.live(), samples.live(bandwidth=None)
    view = compare(a, replace(b, environment={**b.environment, "cpu_model": "Other", "load_1min": 9.0}))
    assert list(view.differences[0].rows) == [("link.bandwidth_bytes_per_s", "1 Gbit/s", "unlimited")]
    assert view.unlike == ("link.bandwidth_bytes_per_s: 1 Gbit/s and unlimited", "cpu_model: AMD EPYC 7B13 and Other")
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
    runs = tuple(replace(run, total_time_s=None) for run in result.runs)
    view = compare(replace(result, runs=runs), result)
    assert [x.method for x in view.lines if x.first] == [
        "original",
        "qemu-compress-zlib-1",
        "zlib-1",
        "isal-1",
        "zstd-1",
    ]


def test_nothing_in_common_is_a_sentence():
    assert compare(samples.live(), samples.empty()).sentences == ("The results share no method with figures in both.",)
