"""The page of an advice: the verdict first, charts with their rings and rule, and texts that stay texts."""

from __future__ import annotations

from dataclasses import replace

import advice_samples as samples
import pytest

from harness.results.advice import Estimate
from reports.advice.page import render_advice, write_advice
from reports.advice.view import HEADINGS, _cell, advice_view

MBIT = 125_000


def test_every_method_has_a_row_and_the_advised_one_is_marked():
    view = advice_view(samples.advice(100 * MBIT))
    assert [row.method for row in view.rows] == list(samples.FIGURES)
    assert [row.method for row in view.rows if row.best] == ["zstd-3"]
    assert [row.method for row in view.rows if row.baseline] == ["none"]
    assert all(len(row.cells) == len(HEADINGS) for row in view.rows)


def test_a_row_has_the_interval_beside_the_value():
    (row,) = (row for row in advice_view(samples.advice()).rows if row.method == "lz4")
    value, interval = row.cells[HEADINGS.index("Without a limit (MiB/s)")]
    assert (value, interval) == ("477", "453 to 501")  # 500, 475 and 525 million bytes


def test_a_guest_that_never_converges_has_no_time_and_no_downtime():
    view = advice_view(samples.advice(100 * MBIT, dirty_bytes_per_s=10**9, working_set_bytes=300_000_000))
    assert {row.cells[0][0] for row in view.rows} == {"never"}
    assert {row.cells[1][0] for row in view.rows} == {"\u2013"}


def test_the_verdict_comes_before_the_charts_and_the_raw_data_are_inside():
    page = render_advice(samples.advice(100 * MBIT))
    assert page.index('class="verdict"') < page.index('id="chart-break-even"') < page.index('id="chart-total"')
    assert 'download="advice.json"' in page
    assert "--backend zstd --level 3 --threads 2" in page
    assert "multifd-zstd-level 3" in page
    assert "a note" in page


def test_the_asked_bandwidth_is_a_rule_and_unlimited_has_none():
    with_rule, without = render_advice(samples.advice(100 * MBIT)), render_advice(samples.advice(None))
    assert '"strokeDash":[5,4]' in with_rule
    assert '"strokeDash":[5,4]' not in without


def test_what_is_missing_is_named_and_hostile_text_is_inert():
    hostile = "<script>alert(1)</script>"
    found = replace(samples.advice(), missing={"lz4": hostile}, notes=(hostile,))
    page = render_advice(found)
    assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_method_that_pays_everywhere_or_nowhere_is_drawn_without_a_ring(tmp_path):
    figures = {**samples.FIGURES, "lz4": (1200, 2.5, 2.4, 0.5, 0.2), "isal-1": (380, 0.9, 0.9, 0.6, 0.4)}
    found = samples.advice(found=samples.measured(figures))
    write_advice(found, tmp_path / "advice.html")
    page = (tmp_path / "advice.html").read_text()
    assert "every link" in page
    assert "no link" in page


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("209 ms", "296 ms", "209 to 296\u00a0ms"),
        ("846 Mbit/s", "every link", "846\u00a0Mbit/s to every\u00a0link"),
        ("212 Mbit/s", "1.2 Gbit/s", "212\u00a0Mbit/s to 1.2\u00a0Gbit/s"),
        ("90.5", "127", "90.5 to 127"),
    ],
)
def test_a_range_tells_a_shared_unit_once(low, high, text):
    found = Estimate(0.2, 0.1, 0.3)
    assert _cell(found, {0.2: "250 ms", 0.1: low, 0.3: high}.__getitem__) == ("250 ms", text)
