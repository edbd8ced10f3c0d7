"""What the length of a link costs, from results that differ in it."""

from __future__ import annotations

import pytest
from small_results import repeated

from harness.results.result import Result
from reports.facts import link_text
from reports.site.page import write_index
from reports.sweep.charts.distance import chart
from reports.sweep.distance import article, groups


def result(delay_s: float | None, *, bandwidth: int | None = 125_000_000, seed: int = 1, **total_s: float) -> Result:
    methods = [{"name": name, "engine": "qemu", "baseline": name == "original"} for name in total_s]
    runs = [run for name, value in total_s.items() for run in repeated(name, total_time_s=value)]
    link = {"kind": "relay", "bandwidth_bytes_per_s": bandwidth}
    if delay_s is not None:
        link["delay_s"] = delay_s
    cell = {"link.bandwidth": "1Gbit/s", "link.delay": "far"}
    scenario = {"name": f"distance+{delay_s}", "methods": methods, "link": link, "cell": cell, "guest": {"seed": seed}}
    return Result(scenario, {}, tuple(runs))


def test_a_group_is_what_differs_in_the_delay_alone_and_goes_from_near_to_far():
    found = groups(
        [
            result(0.1, original=4.0, zstd=3.0),
            result(0.0005, original=2.0, zstd=1.0),
            result(0.025, original=2.0),
            result(0.1, bandwidth=None, original=1.0),
            result(0.025, seed=2, original=1.0),
        ]
    )
    (group,) = found
    assert group.round_trips_ms == (1, 50, 200)
    (table,) = article(group).tables
    assert table.headings == ("Round trip", "original (ms)", "zstd (ms)", "n")
    assert table.rows == (
        ("1 ms", "2\u202f000", "1\u202f000", "3 (range, 75 %)"),
        ("50 ms", "2\u202f000", "\u2013", "3 (range, 75 %)"),
        ("200 ms", "4\u202f000", "3\u202f000", "3 (range, 75 %)"),
    )
    said, how = article(group).sentences
    assert how == "A relay held each byte back: TCP's own windows and losses over a distance are not in these times."
    assert said.startswith("Total time at 200 ms round trip against 1 ms, medians of 3 runs: original +100")
    assert "zstd +200" in said
    assert (group.label, group.baseline) == ("1 Gbit/s", "original")


def test_an_older_result_without_a_delay_is_one_of_no_length():
    (group,) = groups([result(None, original=1.0), result(0.05, original=1.5)])
    assert group.round_trips_ms == (0, 100)
    assert chart(1, group).svg


def test_one_length_is_no_group_and_no_figures_are_said_to_be_none():
    assert groups([result(0.05, original=1.0), result(0.05, original=1.1)]) == ()
    (group,) = groups([result(0.05, original=1.0), result(0.1, zstd=1.1)])
    assert article(group).sentences == ("No method has figures at both 100 and 200 ms round trip.",)


def test_an_index_shows_a_chart_and_a_table_for_each_link(tmp_path):
    cells = [
        result(delay, bandwidth=rate, original=1 + delay)
        for rate in (12_500_000, 125_000_000)
        for delay in (0.005, 0.05)
    ]
    write_index({str(number): cell for number, cell in enumerate(cells)}, tmp_path)
    page = (tmp_path / "index.html").read_text()
    for word in ("What distance costs", "Total time by round trip: 100 Mbit/s", "Total time by round trip: 1 Gbit/s"):
        assert word in page
    assert 'id="chart-distance-1"' in page
    assert 'id="chart-distance-2"' in page


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"delay_s": 0.0, "jitter_s": 0.0}, "1 Gbit/s (relay)"),
        ({"delay_s": 0.0005}, "1 Gbit/s, 0.5 ms each way, 1 ms round trip (relay)"),
        ({"delay_s": 0.05, "jitter_s": 0.005}, "1 Gbit/s, 50 to 55 ms each way, 100 to 110 ms round trip (relay)"),
        ({"delay_s": "hostile"}, "1 Gbit/s (relay)"),
    ],
)
def test_a_links_length_is_told_with_its_round_trip(link, words):
    scenario = {"link": {"kind": "relay", "bandwidth_bytes_per_s": 125_000_000, **link}}
    assert link_text(Result(scenario, {})) == words
    scenario["link"]["kind"] = "auto"
    environment = {"link": "relay: a userspace relay on loopback, 1 Gbit/s (one token bucket each way)"}
    assert link_text(Result(scenario, environment)) == words
