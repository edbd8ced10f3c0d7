"""The first chart: total time by method, with intervals, and the baseline's median as a line."""

from dataclasses import replace

import report_samples as samples

from reports.effects import summary_of
from reports.run.charts import bars
from reports.run.charts.totals import totals


def rows(spec):
    return [row for values in spec["datasets"].values() for row in values]


def test_every_run_and_median_with_its_interval_is_drawn():
    result = samples.live()
    drawn = rows(totals(result))
    assert len([row for row in drawn if "repeat" in row]) == sum(
        run.status == "completed" and not run.warmup for run in result.runs
    )
    median = next(row for row in drawn if row["method"] == "zstd-1" and "low" in row)
    summary = summary_of(result, "zstd-1", "total_time_s")
    assert median["ms"] == round(summary.median * 1e3, 2)
    assert (median["low"], median["high"]) == tuple(round(end * 1e3, 2) for end in summary.ci95)
    assert median["label"].endswith("\u00a0%)")
    base = next(row for row in drawn if row["method"] == "original" and "low" in row)
    assert "%" not in base["label"]


def test_labels_near_either_end_of_the_axis_begin_inside_the_chart():
    whole = samples.live(extras=False)
    shares = {"original": 1.0, "qemu-compress-zlib-1": 0.5, "zlib-1": 0.06, "isal-1": 0.2, "zstd-1": 0.8}
    runs = tuple(replace(run, total_time_s=shares[run.method]) for run in whole.runs)
    spec = totals(replace(whole, runs=runs))
    sides = {
        row["method"]: layer["mark"]["align"]
        for layer in spec["layer"]
        if layer["mark"]["type"] == "text"
        for row in spec["datasets"][layer["data"]["name"]]
    }
    assert sides == {
        "original": "right", "zstd-1": "right", "qemu-compress-zlib-1": "center", "zlib-1": "left", "isal-1": "left",
    }  # fmt: skip


def test_where_bands_are_narrow_a_label_stands_beside_its_interval():
    spec = totals(samples.many_methods())
    texts = [layer for layer in spec["layer"] if layer["mark"]["type"] == "text"]
    assert {layer["encoding"]["x"]["field"] for layer in texts} <= {"low", "high"}
    assert {layer["mark"].get("dy", 0) for layer in texts} == {0}


def test_nothing_is_drawn_where_nothing_completed():
    assert totals(samples.empty()) is None


def test_parts_of_a_bar_are_told_apart_by_numbers_that_their_labels_begin_with():
    drawn = [row for row in rows(bars.cpu(samples.live())) if row["method"] == "zlib-1"]
    parts = {row["number"]: row["part"] for row in drawn}
    assert parts == {"1": "1 source QEMU", "2": "2 sender", "3": "3 receiver", "4": "4 destination QEMU"}
    middles = {row["number"]: row["middle"] for row in drawn}
    assert sorted(middles.values()) == [middles[number] for number in "1234"]
