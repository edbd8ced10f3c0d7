"""Cells that were run apart stand beside each other, each compared with its own baseline, all by one rule."""

import io
from dataclasses import replace

import matrix_samples as samples
import pytest
import report_samples
from rich.console import Console

from harness.results.metrics import METRICS
from reports.effects import against_baseline
from reports.sweep.charts import matrix as charts
from reports.sweep.matrix import article, matrices
from reports.terminal.matrix import print_matrices

REPLAY, LIVE = "replay, 1 Gbit/s", "live, 1 Gbit/s"


@pytest.fixture(scope="module")
def matrix():
    (found,) = matrices(samples.cells())
    return found


def of(matrix, situation, method):
    (cell,) = (each for each in matrix.cells if (each.situation, each.method) == (situation, method))
    return cell


def test_a_cell_is_compared_with_its_own_baseline_whatever_the_machine_did_between_two(matrix):
    assert of(matrix, REPLAY, "zlib-1").change.ratio == pytest.approx(0.5)
    slowed = of(matrix, REPLAY, "zstd-1")
    assert slowed.change.ratio == pytest.approx(0.4)  # by times alone it would be slower than zlib-1: 1.8 s and 1.5 s
    assert slowed.baseline_ms == pytest.approx(4500)
    assert (of(matrix, REPLAY, "zlib-1").change.word, slowed.change.word) == ("better", "better")
    assert of(matrix, REPLAY, "lz4-0").change.word in ("same", "unclear")


def test_the_table_has_a_verdict_for_each_cell_and_a_reason_for_each_without(matrix):
    table, missing = article(matrix).tables
    assert table.headings == ("Method", REPLAY, LIVE)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["zlib-1"][0].startswith("\u221250\u00a0%: better")
    assert rows["zlib-1"][1] == "\u2013"
    assert rows["zstd-1"][1].startswith("\u221240\u00a0%: better")
    assert rows["qatzip-1"][0] == "skipped"
    assert missing.rows == (("qatzip-1", REPLAY, "skipped: no such card here"),)


def test_sentences_say_who_is_best_and_how_far_the_baselines_lay_apart(matrix):
    replay = next(sentence for sentence in article(matrix).sentences if sentence.startswith("replay"))
    assert "2 of 3 methods better than original, zstd-1 most (\u221260\u00a0%)" in replay
    assert "original took 3\u202f000 to 4\u202f500 ms in its cells (+50\u00a0% apart)" in replay


def test_the_one_baseline_of_several_methods_lies_not_apart_from_itself():
    (found,) = matrices([report_samples.live(), report_samples.live(bandwidth=None)])
    sentences = article(found).sentences
    assert any("methods better than original" in sentence for sentence in sentences)
    assert not any("in its cells" in sentence for sentence in sentences)


def test_a_cell_that_was_run_again_counts_once_with_its_newest_result():
    older, newer = samples.cell("zlib-1", 0.9, date="2026-11-27"), samples.cell("zlib-1", 0.5)
    (found,) = matrices([newer, samples.cell("zstd-1", 0.4), older])
    assert of(found, REPLAY, "zlib-1").change.ratio == pytest.approx(0.5)


def test_a_result_that_holds_all_its_methods_is_no_matrix():
    assert matrices([report_samples.live()]) == []
    assert matrices([report_samples.live(), report_samples.live()]) == []


def test_the_chart_has_a_mark_for_each_cell_with_figures(matrix):
    chart = charts.chart(1, matrix)
    rows = {
        (row["method"], row["situation"]): row
        for values in chart.spec["datasets"].values()
        for row in values
        if "method" in row
    }
    assert set(rows) == {("zlib-1", REPLAY), ("zstd-1", REPLAY), ("lz4-0", REPLAY), ("zstd-1", LIVE)}
    zlib = rows["zlib-1", REPLAY]
    assert zlib["low"] < zlib["times"] < zlib["high"]


def test_a_situation_of_skipped_cells_says_so_and_a_recording_has_its_name():
    recorded = samples.cell("zstd-1", 0.4)
    recorded = replace(recorded, scenario={**recorded.scenario, "guest": {"kind": "stream", "stream": "linux-idle"}})
    lost = samples.cell("zstd-1", None, kind="stress")
    lost = replace(lost, runs=tuple(run for run in lost.runs if run.status == "skipped"))
    (found,) = matrices([recorded, lost])
    assert found.of("situation") == ["linux-idle replayed, 1 Gbit/s", LIVE]
    assert f"{LIVE}: no method has figures." in article(found).sentences
    assert article(found).tables[1].rows == (("zstd-1", LIVE, "skipped: no such card here"),)


def test_where_a_cells_own_report_may_tell_more_the_matrix_says_so():
    """It judges the cell's method alone; here others stand beside it, of which none differs."""
    alike = [samples.cell(name, 1.0) for name in ("isal-1", "zlib-ng-1", "libdeflate-1", "lz4-0")]
    surer = []
    for hundredths in range(1, 7):
        cell = samples.cell("zlib-1", 1 + hundredths / 100)
        own = against_baseline(cell, [METRICS["total_time_s"]])["total_time_s"]["zlib-1"]
        (found,) = matrices([cell, *alike])
        assert "All 5 cells are judged as one family: a cell's own report" in " ".join(article(found).sentences)
        surer.append((own.word, of(found, REPLAY, "zlib-1").change.word))
    assert ("worse", "unclear") in surer
    assert surer[-1] == ("worse", "worse")


def test_one_cell_with_figures_is_a_family_of_its_own():
    (found,) = matrices([samples.cell("zlib-1", 0.5), samples.cell("qatzip-1", None)])
    assert not any("family" in sentence for sentence in article(found).sentences)


def test_the_terminal_says_the_same():
    console = Console(width=200, file=io.StringIO())
    print_matrices(console, samples.cells())
    said = console.file.getvalue()
    assert "-50 %: better" in said.replace("\u2212", "-").replace("\u00a0", " ")
    assert "no such card here" in said
    assert "All 4 cells are judged as one family" in said
