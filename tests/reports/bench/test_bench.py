"""The page of a bench: which codecs are worth a look, ratios of single rounds, and Pareto's front."""

from dataclasses import replace

import bench_samples as samples
import pytest
import rendered

from harness.results.bench import load_bench, save_bench
from reports.bench.charts import fronts
from reports.bench.page import render_bench
from reports.bench.view import bench_view, places


def rows(spec):
    return {row["codec"]: row for values in spec["datasets"].values() for row in values}


def test_the_front_has_what_no_other_beats_in_both():
    bench = samples.bench()
    (cells, _) = places(bench).values()
    assert [cell.codec for cell in bench.front(cells, "compress_s")] == ["memcpy", "isal:1", "zstd:1"]
    assert [cell.codec for cell in bench.front(cells, "decompress_s")] == ["memcpy", "zstd:1"]
    drawn = rows(fronts.compressing(bench, cells))
    assert {name for name, row in drawn.items() if row["on_front"]} == {"memcpy", "isal:1", "zstd:1"}
    assert drawn["isal:1"]["low"] < drawn["isal:1"]["mib_s"] < drawn["isal:1"]["high"]


def test_a_machine_that_slows_down_changes_rates_and_no_ratio():
    bench = samples.bench()
    isal = next(cell for cell in bench.cells if cell.codec == "isal:1")
    rate, times = bench.rate(isal.compress_s), bench.times_baseline(isal)
    assert rate.high / rate.low == pytest.approx(1.5)
    assert (times.low, times.high) == (pytest.approx(450 / 80), pytest.approx(450 / 80))


def test_tables_have_every_codec_by_speed_and_mark_the_front():
    table, _ = bench_view(samples.bench()).tables
    assert table.title == "64 KiB at once, 1 thread"
    assert [row[0] for row in table.rows] == ["memcpy", "isal:1", "zstd:1", "zlib:1"]
    assert table.rows[1][2] == "5.62 (5.62 to 5.63)"
    assert table.rows[3][2] == "\u2013"
    assert table.marks == ("best", "best", "best", "")


def test_sentences_name_the_codecs_that_are_worth_a_look():
    sentence, _ = bench_view(samples.bench()).sentences
    assert "64 KiB at once, 1 thread: no other codec is both faster and smaller than isal:1" in sentence
    assert "memcpy" not in sentence


def test_the_page_has_charts_figures_and_what_is_missing():
    page = rendered.bench()
    assert page.count('<figure class="chart"') == 4
    assert "qatzip was not measured: libqatzip does not load" in page
    assert "Times zlib:1" in page


def test_a_codecs_name_does_not_lie_over_the_next_codecs_mark():
    bench = samples.bench()
    spec = fronts.compressing(bench, [cell for cell in bench.cells if cell.threads == 1])
    sides = {
        row["codec"]: layer["mark"]["align"]
        for layer in spec["layer"]
        if layer["mark"]["type"] == "text"
        for row in spec["datasets"][layer["data"]["name"]]
    }
    assert sides == {"memcpy": "left", "zlib:1": "left", "isal:1": "right", "zstd:1": "left"}


def test_a_name_like_a_tag_stays_text():
    page = render_bench(replace(samples.bench(), subject="<script>alert(1)</script>"))
    assert "<script>alert(1)" not in page


def test_a_bench_survives_its_file(tmp_path):
    bench = samples.bench()
    save_bench(bench, tmp_path / "bench.json")
    assert load_bench(tmp_path) == bench
