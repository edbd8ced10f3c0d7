import math
from dataclasses import replace

import replay_samples
import report_samples as samples

from harness.results.doubts import FewRuns, Said
from reports.effects import medians_run
from reports.run import view
from reports.run.grid import grids, rule_sentence


def test_the_page_names_question_guest_link_and_machine():
    page = view.page(samples.live())
    assert page.name == "throttled"
    assert page.question.startswith("1 Gbit/s: does compression")
    assert dict(page.facts) == {
        "Guest": "512 MiB stress guest (kvm), 64 MiB working set dirtied at 20 MiB/s",
        "Link": "1 Gbit/s (netns)",
        "Runs": "5 interleaved repeats, 1 warm-up, downtime limit 300 ms",
        "Machine": "AMD EPYC 7B13, 2 cores",
        "Started": "2026-11-22 21:10 UTC",
    }


def test_a_link_that_was_left_to_the_machine_is_named_as_it_came_out():
    result = samples.live()
    chosen = replace(result, scenario={**result.scenario, "link": {"kind": "auto", "bandwidth_bytes_per_s": None}})
    assert dict(view.page(chosen).facts)["Link"] == "unlimited (two network namespaces)"


def test_warnings_name_the_runs_that_they_are_about():
    found = [(w.about, w.text) for w in view.page(samples.live()).warnings]
    assert found[0][0] == "whole result"
    assert found[1] == ("zlib-1, run 2", "The load was 3.1 on 2 cores when this run began.")


def test_one_warning_of_many_runs_is_one_line():
    result = samples.live(extras=False)
    runs = tuple(replace(r, doubts=(Said("noisy"),)) if r.method == "isal-1" else r for r in result.runs)
    assert [w.about for w in view.page(replace(result, runs=runs)).warnings] == [
        "isal-1, runs warm-up, 1, 2, 3, 4, 5, 6"
    ]


def test_a_results_warning_about_a_method_is_attributed_and_counted_in_its_row():
    result = replace(
        samples.live(extras=False),
        doubts=(FewRuns("isal-1", 3), Said("isal-10: not a method."), Said("the host is busy")),
    )
    page = view.page(result)
    assert [(w.about, w.text) for w in page.warnings] == [
        ("isal-1", FewRuns("isal-1", 3).words),
        ("whole result", "isal-10: not a method."),
        ("whole result", "the host is busy"),
    ]
    assert {r.method: r.warnings for r in page.verdict.rows if r.warnings} == {"isal-1": "1 warning"}


def test_parameters_that_differ_across_runs_are_flagged_with_both_values():
    (table,), summary = view.page(samples.live()).parameters
    found = {row[0]: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    assert found["max-bandwidth"]["zlib-1"] == "134217728000 | 1 (differs across runs)"
    assert found["max-bandwidth"]["isal-1"] == "134217728000"
    assert found["threads"]["original"] == ""
    assert found["threads"]["zlib-1"] == "12 | absent (differs across runs)"
    assert [row[0] for row, mark in zip(table.rows, table.marks, strict=True) if mark] == [
        "downtime-limit", "max-bandwidth", "threads"]  # fmt: skip
    assert summary == "3 settings differed across the runs of one method."


def test_parameters_of_many_methods_take_several_tables():
    tables, summary = view.page(samples.many_methods()).parameters
    assert [name for table in tables for name in table.headings[1:]] == [f"zstd-{n}" for n in range(44)]
    assert max(len(table.headings) for table in tables) == 7
    assert summary == "The runs of each method agreed on every one."


def test_every_run_is_kept_with_raw_figures_and_reasons():
    result = samples.live()
    groups = view.page(result).runs
    assert sum(len(group.runs) for group in groups) == len(result.runs)
    run = next(r for r in result.runs if r.method == "original" and r.repeat == 1)
    figures = dict(zip(groups[0].table.headings, groups[0].table.rows[1], strict=True))
    assert figures["Data transferred (bytes)"].replace("\u202f", "") == str(run.wire_bytes)
    assert figures["Total time (ms)"].replace("\u202f", "") == f"{run.total_time_s * 1e3:.1f}"
    failed = groups[-1].runs[0]
    assert (failed.status, failed.reason, failed.error) == (
        "failed",
        "CodecError: batch 17 decoded wrongly",
        "at frame 17\n  digest",
    )


def test_every_figure_lists_what_a_mail_quotes():
    table = view.page(samples.live()).figures
    figures = {row[:2]: dict(zip(table.headings, row, strict=True)) for row in table.rows}
    total = figures["isal-1", "Total time (ms)"]
    assert (total["n"], total["p"], total["Verdict"]) == ("6", "p = 0.0022", "better")
    measured_ms = sorted(
        run.total_time_s * 1e3 for run in samples.live().runs if run.method == "isal-1" and not run.warmup
    )
    assert total["Best to worst"] == f"{measured_ms[0]:,.0f} to {measured_ms[-1]:,.0f}".replace(",", "\u202f")
    ratios = [float(end) for end in figures["isal-1", "Wire ratio"]["Best to worst"].split(" to ")]
    assert ratios[0] > ratios[1]
    assert 0.4 < float(total["Ratio to baseline"]) < 0.6
    assert figures["original", "Total time (ms)"]["Ratio to baseline"] == "\u2013"


def test_a_card_says_what_an_index_needs():
    card = view.card("out/one", samples.live())
    assert (card.label, card.name) == ("out/one", "throttled")
    facts = dict(card.facts)
    assert (facts["Started"], facts["Link"]) == ("2026-11-22 21:10 UTC", "1 Gbit/s (netns)")
    assert facts["Runs"] == "7 methods, 30 counted runs, 2 warnings"
    assert card.sentences[0].startswith("zstd-1 finished fastest")


def test_the_median_run_is_the_one_to_draw():
    runs = [r for r in samples.live().runs if r.method == "isal-1" and not r.warmup]
    times = sorted(r.total_time_s for r in runs)
    assert medians_run(runs).total_time_s in times[2:4]
    assert medians_run([]) is None


def test_a_grid_finds_the_fewest_decompression_threads():
    isal, zlib = grids(replay_samples.threads())
    assert (isal.title, zlib.title) == ("isal level 1", "zlib level 1")
    assert [(p.threads, p.decompress_threads) for p in isal.points if p.enough] == [
        (1, 1),
        (2, 1),
        (4, 2),
        (8, 3),
        (12, 3),
    ]
    assert "4 needed 2" in rule_sentence(isal)
    assert rule_sentence(isal).endswith("enough at 1, 2, 12.")
    assert rule_sentence(zlib).endswith("enough everywhere.")
    assert grids(samples.live()) == ()


def test_no_page_shows_a_nan():
    result = samples.live()
    runs = tuple(replace(run, total_time_s=math.nan, wire_bytes=math.inf) for run in result.runs)
    assert "nan" not in str(view.page(replace(result, runs=runs))).lower()
