"""Groups of a sweep's cells, the model's points and errors, and the section of the index page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_results import repeated

from harness.results.model import Cost, Link
from harness.results.result import CpuSeconds, Result, Run
from reports.site.page import write_index
from reports.sweep.break_even import groups
from reports.sweep.break_even_article import article
from reports.sweep.charts.break_even import chart

MBIT = 125_000
STREAM_BYTES = 200_000_000
COSTS = {"none": Cost(0.956, 1e9), "lz4": Cost(2.5, 500e6), "zstd-3": Cost(3.3, 360e6, 2.9, 9e6)}
BUSY = {None: 0.0, 25: 2e-8, 300: 2e-8, 1000: 1e-9, 2500: 1e-9}
CORES = 2


def cell(mbit: int | None, *, mix: str = "mixed", off: float = 1.0, kind: str = "synthetic", **over: object) -> Result:
    """A cell whose times are the model's, times ``off`` for zstd-3."""
    bandwidth = None if mbit is None else mbit * MBIT
    link = Link(bandwidth, BUSY[mbit])
    runs: list[Run] = []
    for name, cost in COSTS.items():
        total_s = cost.total_time_s(STREAM_BYTES, link) * (off if name == "zstd-3" else 1.0)
        ratio = cost.ratio if bandwidth is None else cost.ratio_at(bandwidth)
        sizes = {"stream_bytes": STREAM_BYTES, "ratio": ratio, "wire_bytes": round(STREAM_BYTES / ratio)}
        cpu_s = CpuSeconds(sender=(1e-9 + BUSY[mbit] * CORES) * STREAM_BYTES / ratio)
        runs += repeated(name, 5, total_time_s=total_s, cpu_s=cpu_s, **sizes)
    methods = [
        {
            "name": name,
            "engine": "pageferry",
            "backend": name.partition("-")[0],
            "level": None,
            "baseline": name == "none",
        }
        for name in COSTS
    ]
    scenario = {
        "name": f"grid+{mbit}+{mix}",
        "methods": methods,
        "guest": {"kind": kind, "fill": {mix: 1.0}},
        "link": {"bandwidth_bytes_per_s": bandwidth, "kind": "auto"},
        "cell": {"link.bandwidth": str(mbit), "guest.fill": mix},
    }
    return Result(scenario | over, {"cores": CORES}, tuple(runs))


def without(result: Result, method: str) -> Result:
    return replace(result, runs=tuple(run for run in result.runs if run.method != method))


def grid(**settings) -> list[Result]:
    return [cell(mbit, **settings) for mbit in BUSY]


def test_a_group_is_the_cells_that_differ_in_bandwidth_alone():
    found = groups([*grid(), *grid(mix="random")])
    assert [group.label for group in found] == ["mixed", "random"]
    assert [len(group.points) for group in found] == [12, 12]


def test_links_of_two_lengths_are_two_groups():
    far = [replace(one, scenario={**one.scenario, "link": {**one.scenario["link"], "delay_s": 0.05}}) for one in grid()]
    assert [group.label for group in groups([*grid(), *far])] == ["mixed", "mixed, 100 ms round trip"]


def test_what_the_model_made_it_finds_again():
    (group,) = groups(grid())
    assert group.errors[-1] < 0.02
    assert group.costs["lz4"].pair_bytes_per_s == pytest.approx(500e6)
    assert group.costs["zstd-3"].slow_ratio == pytest.approx(2.9, rel=0.01)
    assert [link.busy_s_per_byte for link in group.links] == pytest.approx([2e-8, 2e-8, 1e-9, 1e-9])


def test_an_error_is_of_the_prediction_against_what_was_measured():
    (group,) = groups([cell(None), cell(25), cell(300, off=1.25), cell(1000)])
    worst = max(group.points, key=lambda point: abs(point.error))
    assert (worst.method, worst.bandwidth_bytes_per_s) == ("zstd-3", 300 * MBIT)
    assert worst.error == pytest.approx(1 / 1.25 - 1, abs=0.02)
    assert group.median_error < 0.01


def test_break_even_is_where_the_drawn_curves_cross():
    (group,) = groups(grid())
    for name in ("lz4", "zstd-3"):
        bound = group.break_even(name)
        link = group.link_at(bound)
        ratio = group.costs["none"].delivered_bytes_per_s(link) / group.costs[name].delivered_bytes_per_s(link)
        assert ratio == pytest.approx(1, abs=0.01)
    assert group.break_even("lz4") > group.break_even("zstd-3")


def test_links_between_two_that_were_measured_are_between_them():
    (group,) = groups(grid())
    assert 1e-9 < group.link_at(600 * MBIT).busy_s_per_byte < 2e-8
    assert group.link_at(5 * MBIT).busy_s_per_byte == pytest.approx(2e-8)
    assert group.link_at(10_000 * MBIT).busy_s_per_byte == pytest.approx(1e-9 / 4)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [cell(300), cell(1000)],
        [cell(None)],
        [cell(mbit, kind="stress") for mbit in BUSY],
        [without(found, "none") for found in grid()],
        [Result({"name": "old"}, {})],
    ],
    ids=["nothing", "no unlimited cell", "no limited cell", "live guests", "no none", "an older result"],
)
def test_without_the_cells_that_it_needs_there_is_no_group(results):
    assert groups(results) == ()


def test_a_method_that_a_cell_lacks_has_no_point_there():
    (group,) = groups([cell(None), cell(25), without(cell(300), "lz4")])
    assert sum(point.method == "lz4" for point in group.points) == 1


def test_auto_and_qemu_are_no_curves():
    results = grid()
    for result in results:
        result.scenario["methods"][1]["backend"] = "auto"
    (group,) = groups(results)
    assert list(group.costs) == ["none", "zstd-3"]


def test_the_section_says_how_far_the_model_is_off():
    (group,) = groups([cell(None), cell(25), cell(300, off=1.25), cell(1000)])
    said = article(group)
    assert "over 9 points" in said.sentences[0]
    assert "8 of them are within 10" in said.sentences[0]
    assert "zstd-3 at 300 Mbit/s" in said.sentences[0]
    methods, points = said.tables
    assert [row[0] for row in methods.rows] == ["lz4", "zstd-3"]
    assert len(points.rows) == 9
    assert chart(1, group).key == "break-even-1"


def test_the_index_of_a_sweep_has_the_section_and_others_have_not(tmp_path):
    write_index({result.scenario["name"]: result for result in grid()}, tmp_path / "sweep")
    page = (tmp_path / "sweep" / "index.html").read_text()
    assert "Where compression stops paying" in page
    assert 'id="chart-break-even-1"' in page
    assert "<script>" in page
    write_index({"a": cell(300)}, tmp_path / "single")
    single = (tmp_path / "single" / "index.html").read_text()
    assert "Where compression stops paying" not in single
    assert "<script" not in single
