"""What encrypting costs each method, from results that differ in it."""

from __future__ import annotations

import pytest

from harness.results.doubts import Unencrypted
from harness.results.result import CpuSeconds, MetricSummary, Result, Run
from reports.site.page import write_index
from reports.sweep.charts.encryption import chart
from reports.sweep.encryption import article, groups

GIB = 1 << 30
CPU_S = {"none": (2.0, 3.0), "zstd": (5.0, 5.25), "original": (1.0, 1.0)}
RATIO = {"none": 1.0, "zstd": 4.0, "original": 1.0}


def run(method: str, cpu_s: float, *, tls: bool) -> Run:
    doubts = (Unencrypted(),) if tls and method == "original" else ()
    counters = {"sender_tls_handshake_s": 0.0125} if tls and method != "original" else {}
    return Run(
        method, repeat=1, warmup=False, status="completed", total_time_s=8.0 + tls, wire_bytes=int(GIB / RATIO[method]),
        stream_bytes=GIB, ratio=RATIO[method], cpu_s=CpuSeconds(sender=cpu_s), counters=counters, doubts=doubts,
    )  # fmt: skip


def result(*, tls: bool, seed: int = 1) -> Result:
    methods = [{"name": name, "engine": "qemu", "baseline": name == "none"} for name in CPU_S]
    runs = tuple(run(name, pair[tls] + off, tls=tls) for name, pair in CPU_S.items() for off in (-0.2, 0.0, 0.2))
    summary = {
        one.method: {
            "total_time_s": MetricSummary(one.total_time_s, (8.0, 9.0), 1),
            "cpu_total_s": MetricSummary(one.cpu_s.sender, (one.cpu_s.sender - 0.2, one.cpu_s.sender + 0.2), 1),
            "ratio": MetricSummary(one.ratio, (1.0, 4.0), 1),
            "wire_bytes": MetricSummary(one.wire_bytes, (1.0, GIB), 1),
        }
        for one in runs
    }
    link = {"kind": "relay", "bandwidth_bytes_per_s": 125_000_000, "tls": tls}
    scenario = {
        "name": f"tls+{tls}",
        "methods": methods,
        "link": link,
        "cell": {"link.tls": str(tls)},
        "guest": {"seed": seed},
    }
    return Result(scenario, {}, runs=runs, summary=summary)


def test_what_was_compressed_costs_one_by_the_ratio_for_each_gib_of_the_guest():
    (group,) = groups([result(tls=True), result(tls=False)])
    none, zstd = group.costs["none"], group.costs["zstd"]
    assert none.extra_cpu_s == pytest.approx(1.0)
    assert none.extra_cpu_s_per_gib(none.wire_bytes) == zstd.extra_cpu_s_per_gib(zstd.wire_bytes) == pytest.approx(1.0)
    (table,) = article(group).tables
    rows = {row[0]: row for row in table.rows}
    assert rows["none"] == (
        "none",
        "1.00",
        "1\u202f024.0",
        "2.00",
        "3.00",
        "1.00",
        "1.00",
        "8\u202f000",
        "9\u202f000",
        "12",
    )
    assert rows["zstd"][5:7] == ("1.00", "0.25")
    said = article(group).sentences[0]
    assert (
        "none: 1.00 s more CPU for each GiB of the guest (1.00 s for each GiB sent, ratio 1.00), total time +12" in said
    )
    assert (
        "zstd: 0.25 s more CPU for each GiB of the guest (1.00 s for each GiB sent, ratio 4.00), total time +12" in said
    )
    assert said.endswith("but its runs spread as far as that.")
    assert said.count("but its runs spread") == 1  # none's do not


def test_what_cannot_be_encrypted_has_no_figures_of_it_and_is_named():
    (group,) = groups([result(tls=False), result(tls=True)])
    assert group.costs["original"].extra_cpu_s is None
    (table,) = article(group).tables
    assert table.rows[-1] == (
        "original",
        "1.00",
        "1\u202f024.0",
        "1.00",
        *("\u2013",) * 3,
        "8\u202f000",
        *("\u2013",) * 2,
    )
    assert article(group).sentences[-1] == "original cannot be encrypted here, and ran over a plain link in both cells."


def test_results_that_differ_in_something_else_are_no_group():
    assert groups([result(tls=True), result(tls=True), result(tls=False, seed=2)]) == ()


def test_an_index_shows_a_chart_and_a_table(tmp_path):
    cells = [result(tls=False), result(tls=True)]
    (group,) = groups(cells)
    assert chart(1, group).svg
    write_index({str(number): cell for number, cell in enumerate(cells)}, tmp_path)
    page = (tmp_path / "index.html").read_text()
    for word in ("What encrypting costs", "CPU time with and without TLS", 'id="chart-encryption-1"'):
        assert word in page
