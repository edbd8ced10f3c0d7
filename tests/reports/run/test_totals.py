"""The first chart: total time by method, with intervals, and the baseline's median as a line."""

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


def test_nothing_is_drawn_where_nothing_completed():
    assert totals(samples.empty()) is None


def test_parts_of_a_bar_are_told_apart_by_numbers_that_their_labels_begin_with():
    drawn = [row for row in rows(bars.cpu(samples.live())) if row["method"] == "zlib-1"]
    parts = {row["number"]: row["part"] for row in drawn}
    assert parts == {"1": "1 source QEMU", "2": "2 sender", "3": "3 receiver", "4": "4 destination QEMU"}
    middles = {row["number"]: row["middle"] for row in drawn}
    assert sorted(middles.values()) == [middles[number] for number in "1234"]
