from dataclasses import replace

import pytest
import replay_samples
import report_samples as samples
from felt_samples import felt_result

from harness.results.result import Result, Run
from reports.effects import against_baseline
from reports.run.verdict import verdict
from reports.site.rows import row_of


def judged(result):
    return verdict(result, against_baseline(result))


def row(result, name):
    return next(r for r in judged(result).rows if r.method == name)


def two_methods(vs_baseline, n=6, spread=1 / 1000):
    """original at 2 s against isal-1, with as many completed runs as n says, each longer by ``spread`` than the one before."""
    shape = samples.scenario(
        [{"name": "original", "engine": "qemu", "baseline": True}, {"name": "isal-1", "engine": "pageferry"}]
    )
    runs = tuple(
        Run(name, i, warmup=False, status="completed", total_time_s=time * (1 + i * spread))
        for name, time in (("original", 2.0), ("isal-1", 2.0 * vs_baseline))
        for i in range(n)
    )
    return Result(shape, {}, runs)


def test_cells_hold_the_summarys_figures_in_fixed_units():
    result = samples.live()
    summary = result.summary["zstd-1"]
    total, downtime, data = row(result, "zstd-1").cells[:3]
    assert (total.heading, downtime.heading, data.heading) == (
        "Total time (ms)",
        "Downtime (ms)",
        "Data transferred (MiB)",
    )
    assert total.value.replace("\u202f", "") == str(round(summary["total_time_s"].median * 1e3))
    assert data.value.replace("\u202f", "") == f"{summary['wire_bytes'].median / (1 << 20):.1f}"
    assert total.effect == f"\u2212{round((1 - summary['total_time_s'].vs_baseline) * 100)}\u00a0%"
    assert (total.tone, total.meaning) == ("better", "better")
    assert total.p.endswith(
        "with 99.8\u00a0%, p = 0.0022"
    )  # of four methods, each by 6 runs: the first is held to 0.0025
    assert " to " in total.interval
    assert row(result, "zstd-1").coverage == "97 %"


def test_more_cpu_is_worse_and_the_baseline_has_no_effect():
    both = row(samples.live(), "zstd-1").cells[4]
    assert (both.heading, both.tone, both.meaning) == ("CPU on both sides (s)", "worse", "worse")
    assert all(not cell.effect for cell in row(samples.live(), "original").cells)


def test_what_has_no_room_in_the_main_table_stands_below_it_folded_where_every_method_has_it():
    usual, wide = judged(samples.live()), judged(felt_result())
    assert (usual.further.headings, usual.further.folded) == (("CPU, source (s)",), True)
    assert [name for name, _ in usual.further.rows] == list(samples.LIVE)
    (source,) = dict(usual.further.rows)["zstd-1"]
    assert (source.tone, source.meaning, source.beside) == ("unjudged", "", "3.10 per GiB of guest")
    assert len(set(wide.further.headings)) == len(wide.further.headings) > 1
    assert not wide.further.folded
    assert {cell.heading: cell.known for cell in dict(wide.further.rows)["isal-1"]} == {
        heading: heading == "CPU, source (s)" for heading in wide.further.headings
    }
    cells = {cell.heading: cell.value for cell in dict(wide.further.rows)["qemu-compress-zlib-1"]}
    assert cells["Page requests"] == "104\u202f214"


def test_the_fastest_method_is_named_with_interval_p_and_n():
    first = judged(two_methods(0.45)).sentences[0]
    assert first.startswith(
        "isal-1 finished fastest: 902\u00a0ms against 2\u202f005\u00a0ms for original, \u221255\u00a0%"
    )
    for known in ("(\u221255\u00a0% to \u221255\u00a0% with 99\u00a0%", "p = 0.0022", "n\u00a0=\u00a06 and 6"):
        assert known in first


@pytest.mark.parametrize(
    ("vs_baseline", "spread", "words"),
    [
        (0.97, 0.02, "Total time: cannot tell, needs n = "),
        (0.998, 0.001, "Total time: same within 2 %. The fastest of the others, isal-1, took"),
    ],
)
def test_no_difference_and_no_knowledge_are_two_things(vs_baseline, spread, words):
    view = judged(two_methods(vs_baseline, spread=spread))
    assert view.sentences[0].startswith(words)
    assert not any(r.best for r in view.rows)


@pytest.mark.parametrize(("n", "words"), [(1, "One run decides nothing"), (3, "3 runs decide nothing")])
def test_too_few_runs_say_how_many_would_do(n, words):
    first = judged(two_methods(0.28, n=n)).sentences[0]
    assert first.startswith(
        f"{words}, however far apart figures lie: a verdict takes 5 runs of each or more (--set repeats=5)."
    )
    assert first.endswith("\u00a0ms for original, \u221272\u00a0%.")
    assert "p = " not in first


def test_runs_of_fewer_than_six_are_said_to_give_their_range():
    assert [each.coverage for each in judged(two_methods(0.5, n=3)).rows] == ["range, 75 %"] * 2


def test_a_baseline_that_nobody_beats_wins():
    view = judged(two_methods(1.6))
    assert view.sentences[0].startswith("No method beat original. The fastest of the others, isal-1, took")
    assert not any(r.best for r in view.rows)


@pytest.mark.parametrize(
    ("marks", "words", "mark"),
    [
        ([True] * 6, "All 12 completed runs", "yes"),
        ([None] * 6, "Only 6 of 12 completed runs", "unknown"),
        ([True, False, True, True, True, True], "wrong memory in 1 of 12 runs", "no"),
        ([True, None, True, True, True, True], "Only 11 of 12", "partly"),
    ],
)
def test_verification_is_stated(marks, words, mark):
    result = two_methods(0.5)
    left = iter(marks)
    runs = tuple(replace(r, verified=True if r.method == "original" else next(left)) for r in result.runs)
    view = judged(replace(result, runs=runs))
    assert any(words in sentence for sentence in view.sentences)
    assert row(replace(result, runs=runs), "isal-1").verified == mark


def test_nothing_verified_is_said_plainly():
    assert any(s.startswith("Nothing was verified") for s in judged(two_methods(0.5)).sentences)


def test_failed_and_skipped_methods_keep_their_row_and_reason():
    result = samples.live()
    skipped, failed = row(result, "multifd-zstd-1"), row(result, "card-9")
    assert skipped.state == "skipped: this QEMU was built without zstd"
    assert failed.state == "failed: CodecError: batch 17 decoded wrongly"
    assert (skipped.blank, skipped.trouble, failed.trouble) == (True, False, True)
    assert failed.n == "0"
    assert "2 methods without a figure: multifd-zstd-1, card-9." in judged(result).sentences


def test_a_method_that_failed_in_part_says_how_often():
    result = two_methods(0.5)
    broken = Run("isal-1", 9, warmup=False, status="timeout", reason="no end after 120 s")
    mixed = row(replace(result, runs=(*result.runs, broken)), "isal-1")
    assert mixed.state == "1 of 7 timeout: no end after 120 s"
    assert not mixed.blank


def test_methods_that_never_ran_are_listed():
    view = judged(samples.empty())
    assert [(r.method, r.state) for r in view.rows] == [("original", "not run"), ("isal-1", "not run")]
    assert view.sentences[0] == "No counted run completed, so there is nothing to compare."


def test_a_result_of_which_nothing_could_run_says_why():
    result = two_methods(0.5, n=1)
    runs = tuple(replace(run, status="skipped", reason="no QEMU here", total_time_s=None) for run in result.runs)
    assert judged(replace(result, runs=runs)).sentences[0] == "Nothing of it could run there: no QEMU here."
    assert row_of(replace(result, runs=runs), "0").state == "doubted"


def test_a_method_whose_warm_up_is_all_there_is_says_so():
    warm = Run("original", 0, warmup=True, status="completed", total_time_s=1.0)
    assert row(replace(samples.empty(), runs=(warm,)), "original").state == "only its warm-up has run"


def test_a_run_of_an_undeclared_method_still_gets_a_row():
    stray = Run("stray", 1, warmup=False, status="failed", reason="why")
    assert row(replace(samples.empty(), runs=(stray,)), "stray").state == "failed: why"


@pytest.mark.parametrize(
    ("bandwidth", "situation", "figures"),
    [
        (125_000_000, "bandwidth limited", [("11720", "169", "304.3"), ("5652", "21", "136.9")]),
        (None, "bandwidth unlimited", [("9536", "34", "300.6"), ("4466", "22", "137.2")]),
    ],
)
def test_published_figures_follow_the_link(bandwidth, situation, figures):
    published = judged(samples.live(bandwidth=bandwidth)).published
    assert situation in published.title
    assert "published by others, on other hardware" in published.title
    shown = [tuple(cell.value.replace("\u202f", "") for cell in cells[:3]) for _, _, cells, _ in published.rows]
    assert shown == figures


def test_kilobytes_are_shown_as_they_were_published():
    published = judged(samples.live(bandwidth=None)).published
    said = [cells[2].interval for _, _, cells, _ in published.rows]
    assert said == ["307\u202f783\u00a0KB", "140\u202f445\u00a0KB"]


def test_published_effects_are_computed():
    published = judged(samples.live()).published
    assert [cell.effect for cell in published.rows[1][2][:3]] == [
        "\u221252\u00a0%",
        "\u221288\u00a0%",
        "\u221255\u00a0%",
    ]


def published_with(name):
    result = samples.live()
    return judged(replace(result, scenario={**result.scenario, "name": name})).published


@pytest.mark.parametrize("name", ["published+1Gbit-s", "throttled", "unlimited"])
def test_the_published_situations_are_known_by_their_files(name):
    assert "12 compression and 3 decompression threads" in published_with(name).title


@pytest.mark.parametrize(
    ("name", "heading", "values", "effect"),
    [
        ("kubevirt-246", "Data transferred (MiB)", ["12288.0", "3379.2"], "\u221273\u00a0%"),
        ("kubevirt-291", "Total time (ms)", ["112400", "92200"], "\u221218\u00a0%"),
        ("kubevirt-291", "Downtime (ms)", ["451", "611"], "+35\u00a0%"),
    ],
)
def test_kubevirts_figures_stand_beside_its_experiments(name, heading, values, effect):
    published = published_with(name)
    cells = [{cell.heading: cell for cell in cells}[heading] for _, _, cells, _ in published.rows]
    assert [cell.value.replace("\u202f", "") for cell in cells] == values
    assert cells[1].effect == effect


def test_published_figures_have_their_n_and_their_worst():
    published = published_with("kubevirt-291")
    assert [n for _, _, _, n in published.rows] == ["10", "10"]
    assert [cells[0].interval for _, _, cells, _ in published.rows] == [
        "worst\u00a0161\u202f000",
        "worst\u00a098\u202f000",
    ]


def test_our_worst_run_stands_beside_a_published_worst():
    result = samples.live()
    slowest_ms = max(run.total_time_s for run in result.runs if run.method == "zstd-1" and not run.warmup) * 1e3
    shown = replace(result, scenario={**result.scenario, "name": "kubevirt-291"})
    assert row(shown, "zstd-1").cells[0].beside.replace("\u202f", "") == f"worst\u00a0{slowest_ms:.0f}"
    assert row(result, "zstd-1").cells[0].beside is None


@pytest.mark.parametrize("name", ["native", "guestperf-xbzrle+unlimited", "mine"])
def test_another_experiment_has_nobodys_figures_beside_it(name):
    assert published_with(name) is None


def test_an_emulated_guest_is_told_beside_the_figures():
    result = samples.live()
    emulated = replace(result, environment={**result.environment, "accel": "tcg", "accel_reason": "no /dev/kvm"})
    told = "Guests run under TCG, QEMU's emulation, and not under KVM: no /dev/kvm."
    assert told in judged(emulated).notes
    assert told not in judged(result).notes


def test_a_replay_has_no_downtime_and_no_published_rows():
    view = judged(replay_samples.codecs())
    assert not any("Downtime" in heading for heading in view.headings)
    assert view.published is None
    assert any("there is no downtime" in note for note in view.notes)


def test_only_the_baseline_is_nothing_to_compare():
    assert judged(samples.one_method()).sentences[0].startswith("Only original, the baseline, has figures")


def test_a_warned_method_carries_its_count():
    assert row(samples.live(), "zlib-1").warnings == "1 warning"
    assert row(samples.live(), "isal-1").warnings == ""


def test_what_was_prepared_before_the_clock_ran_is_told():
    result = two_methods(0.45)
    took_s = iter((0.4, 0.5, 0.9, 0.3, 0.6, 0.5))
    runs = tuple(
        replace(run, counters={"sender_prepare_s": next(took_s)}) if run.method == "isal-1" else run
        for run in result.runs
    )
    told = "Filling histories before the migration took 0.5\u00a0s (isal-1), which no total time and no CPU time here holds."
    assert told in judged(replace(result, runs=runs)).sentences
    assert not any("histories" in sentence for sentence in judged(result).sentences)
