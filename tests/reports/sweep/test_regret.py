"""What auto lost, from results."""

from __future__ import annotations

import pytest
from small_results import repeated

from harness.results.result import Result, Run
from reports.site.page import write_index
from reports.sweep.charts.regret import chart
from reports.sweep.regret import article, regrets


def result(cell=None, *, runs=(), link=None, **total_s: float | None) -> Result:
    methods = [
        {"name": name, "engine": "qemu" if name == "original" else "pageferry", "backend": name.partition("_")[0]}
        for name in total_s
    ]
    made = [run for name, value in total_s.items() if value for run in repeated(name, total_time_s=value)]
    made = [run for run in made if run.method not in {other.method for other in runs}]
    scenario = {"name": "grid", "methods": methods, "cell": cell or {}, "link": link or {}}
    return Result(scenario, {}, (*made, *runs))


def timed(method: str, *total_s: float) -> list[Run]:
    return [Run(method, n, warmup=False, status="completed", total_time_s=s) for n, s in enumerate(total_s, 1)]


def test_regret_is_against_the_best_fixed_choice_of_the_pair():
    (row,) = regrets(
        [result({"link": "1Gbit/s", "fill": "mixed"}, original=0.1, none=4.0, isal=2.0, zstd=1.0, auto=1.1)]
    )
    assert (row.cell, row.best, row.auto_ms, row.best_ms) == ("1Gbit/s, mixed", "zstd", 1100, 1000)
    assert row.regret == pytest.approx(0.1)
    assert row.against_none == pytest.approx(1.1 / 4 - 1)


def test_without_auto_or_without_a_fixed_choice_there_is_no_row():
    assert regrets([result(none=1.0, isal=1.0), result(auto=1.0), result(auto=None, none=1.0)]) == []
    assert regrets([]) == []


def test_without_none_only_the_regret_is_told():
    (row,) = regrets([result(isal=1.0, auto=0.9)])
    assert row.against_none is None
    assert row.regret == pytest.approx(-0.1)
    assert row.cell == "grid"


def test_the_interval_is_that_of_the_ratio_to_the_best_and_needs_runs():
    runs = [*timed("isal", *[2.0] * 4), *timed("zstd", 0.9, 1.0, 1.0, 1.1), *timed("auto", 1.1, 1.2, 1.2, 1.3)]
    (row,) = regrets([result(isal=2.0, zstd=1.0, auto=1.2, runs=runs)])
    low, high = row.interval
    assert (low, high) == (1.1 / 1.1, 1.3 / 0.9)  # of 4 against 4 the range of all ratios
    assert (row.best, row.n) == ("zstd", 4)
    (row,) = regrets([result(zstd=1.0, auto=1.2, runs=[*timed("zstd", 1.0), *timed("auto", 1.2)])])
    assert row.interval is None


def test_a_link_that_is_not_swept_is_named_and_no_two_rows_are_alike():
    fast, slow = ({"bandwidth_bytes_per_s": rate} for rate in (125_000_000, 12_500_000))
    cell = {"guest.fill": "mixed"}
    found = [result(cell, link=link, none=1.0, auto=1.0) for link in (fast, slow, slow)]
    assert [row.cell for row in regrets(found)] == ["1 Gbit/s, mixed", "100 Mbit/s, mixed (1)", "100 Mbit/s, mixed (2)"]
    swept = result({"link.bandwidth": "1Gbit/s", **cell}, link=fast, none=1.0, auto=1.0)
    assert [row.cell for row in regrets([swept])] == ["1Gbit/s, mixed"]
    far = result({"link.delay": "50ms", **cell}, link={**fast, "delay_s": 0.05, "loss": 0.01}, none=1.0, auto=1.0)
    assert [row.cell for row in regrets([far])] == ["1 Gbit/s, mixed, 100 ms round trip, 1 % of packets lost"]


def test_the_sentences_name_the_worst_cell_and_the_rows_are_in_the_order_of_the_results():
    found = article(
        regrets([result({"a": "1"}, none=4.0, zstd=1.0, auto=1.02), result({"a": "2"}, none=1.0, zstd=2.0, auto=1.1)])
    )
    assert found.sentences[0] == (
        "Total time of auto against the best fixed choice: +10\u00a0% at worst (2), and +6.0\u00a0% in the median of 2 cells. "
        "Against no compression: \u221274\u00a0% (1) to +10\u00a0% (2)."
    )
    (table,) = found.tables
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert table.rows[1][1:] == ("1\u202f100", "1\u202f000", "none", "+10\u00a0%", "+10\u00a0%", "3")


def test_every_method_of_every_cell_is_drawn_and_auto_with_its_interval():
    runs = [*timed("zstd", 0.9, 1.0, 1.0, 1.1), *timed("auto", 1.1, 1.2, 1.2, 1.3)]
    spec = chart(regrets([result({"a": "1"}, none=4.0, zstd=1.0, auto=1.2, runs=runs)])).spec
    small, interval, auto = (spec["datasets"][layer["data"]["name"]] for layer in spec["layer"][1:])
    assert {row["series"]: row["share"] for row in small} == {"none": 4.0, "zstd": 1.0}
    assert [row["share"] for row in auto] == [1.2]
    assert interval[0]["low"] < 1.2 < interval[0]["high"]


def test_an_index_shows_it_where_there_is_something_to_compare(tmp_path):
    write_index({"one": result(none=4.0, zstd=1.0, auto=1.2)}, tmp_path / "with")
    write_index({"one": result(none=4.0, zstd=1.0)}, tmp_path / "without")
    title = "auto beside the best fixed choice"
    assert title in (tmp_path / "with" / "index.html").read_text()
    assert title not in (tmp_path / "without" / "index.html").read_text()


def test_a_column_that_holds_nothing_is_left_out_and_lines_that_are_not_there_are_not_told():
    bare = regrets([result(zstd=1.0, auto=1.2, runs=[*timed("zstd", 1.0), *timed("auto", 1.2)])])
    (table,) = article(bare).tables
    assert table.headings == ("Cell", "auto (ms)", "Best fixed (ms)", "Which", "Regret", "n")
    assert len(table.rows[0]) == len(table.headings)
    assert "intervals" not in chart(bare).caption
    whole = regrets(
        [result(none=4.0, zstd=1.0, auto=1.2, runs=[*timed("zstd", *[1.0] * 4), *timed("auto", *[1.2] * 4)])]
    )
    assert "Against none" in article(whole).tables[0].headings
    assert "lines their 95\u00a0% intervals" in chart(whole).caption
