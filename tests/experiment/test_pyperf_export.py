"""pyperf's own tools read what we write: one value a run, real durations, and names that do not collide."""

import re
import subprocess
import sys
from dataclasses import replace

import pyperf
import pytest

from harness.errors import ResultError
from harness.experiment.pyperf_export import write_pyperf
from harness.results.identity import Identity
from harness.results.result import CpuSeconds, Result, Run

ENVIRONMENT = {
    "cpu_model": "AMD EPYC 7543",
    "cores": 2,
    "kernel": "6.1.0",
    "qemu": "7.2.22",
    "link": "netns: veth",
    "python": "3.11.2",
    "pageferry": "0.1.0",
    "governor": None,
}


def _run(method: str, repeat: int, total_s: float, **fields) -> Run:
    values = {"warmup": False, "status": "completed", "downtime_s": 0.04, "wire_bytes": 400_000_000 + repeat} | fields
    return Run(
        method=method,
        repeat=repeat,
        total_time_s=total_s,
        cpu_s=CpuSeconds(sender=0.5, receiver=0.25),
        started_at="2026-11-22T12:00:00+00:00",
        **values,
    )


@pytest.fixture
def result() -> Result:
    return Result(
        scenario={"name": "throttled", "link": {"bandwidth_bytes_per_s": 125_000_000}},
        environment=ENVIRONMENT,
        runs=(
            _run("original", 0, 9.0, warmup=True),
            _run("isal-1 4x2", 0, 7.0, warmup=True),
            _run("original", 1, 2.0),
            _run("isal-1 4x2", 1, 1.0),
            _run("original", 2, 2.2),
            _run("isal-1 4x2", 2, 1.2),
            Run(method="qemu-compress", repeat=1, warmup=False, status="skipped", reason="not in this QEMU"),
        ),
    )


def pyperf_says(*arguments) -> str:
    command = [sys.executable, "-m", "pyperf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_each_method_has_a_file_that_pyperf_reads(result, tmp_path):
    paths = write_pyperf(result, tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "pyperf.json",
        "pyperf/original.json",
        "pyperf/isal-1 4x2.json",
    ]
    suite = pyperf.BenchmarkSuite.load(str(paths[2]))
    assert set(suite.get_benchmark_names()) == {"total_time", "downtime", "cpu_total", "wire_bytes"}
    benchmark = suite.get_benchmark("total_time")
    assert benchmark.get_values() == (1.0, 1.2)
    assert benchmark.get_runs()[0].warmups == ((1, 7.0),)
    assert suite.get_benchmark("wire_bytes").get_unit() == "byte"
    assert benchmark.get_metadata()["method"] == "isal-1 4x2"


def test_a_files_duration_is_that_of_its_migrations_whatever_the_unit(result, tmp_path):
    path = write_pyperf(result, tmp_path)[1]
    whole_s = pyperf.BenchmarkSuite.load(str(path)).get_total_duration()
    assert whole_s == pytest.approx(9.0 + 2.0 + 2.2)  # the warm-up and both runs, each once
    said = pyperf_says("stats", path)
    assert "Number of benchmarks: 4\nTotal duration: 13.2 sec\n" in said
    assert said.count("Total number of values: 2") == 4


def test_a_file_says_where_and_on_what_it_was_measured(result, tmp_path):
    identity = Identity("2026-11-22T120000Z-4f2a91", "2026-11-22T12:00:00+00:00", "lab-7", None, "0.1.0", "1c2aeb3")
    paths = write_pyperf(replace(result, identity=identity), tmp_path)
    metadata = pyperf.BenchmarkSuite.load(str(paths[0])).get_metadata()
    known = {
        "cpu_model_name": "AMD EPYC 7543",
        "kernel": "6.1.0",
        "qemu_version": "7.2.22",
        "link_bandwidth": "1 Gbit/s",
        "pageferry_version": "0.1.0",
        "scenario": "throttled",
        "hostname": "lab-7",
        "commit": "1c2aeb3",
    }
    assert {key: metadata.get(key) for key in known} == known
    assert "cpu_governor" not in metadata  # the kernel does not say: it is no fact


def test_pyperf_compares_two_methods_of_a_result(result, tmp_path):
    _, original, ours = write_pyperf(result, tmp_path)
    said = pyperf_says("compare_to", original, ours, "--table")
    assert re.search(r"total_time +\| 2\.10 sec +\| 1\.10 sec: 1\.91x faster", said)


def test_pyperf_compares_two_nights_by_names_that_differ(result, tmp_path):
    slower = [replace(run, total_time_s=run.total_time_s and run.total_time_s * 2) for run in result.runs]
    slower += [_run("original", 3, 4.2), _run("isal-1 4x2", 3, 2.2)]  # a night of other repeats
    (monday, *_), (tuesday, *_) = (
        write_pyperf(each, tmp_path / night)
        for night, each in (("mon", result), ("tue", replace(result, runs=tuple(slower))))
    )
    said = pyperf_says("compare_to", monday, tuesday, "--table")
    for method in ("original", "isal-1 4x2"):
        assert re.search(rf"throttled/{method}/total_time .*: 2\.00x slower", said), said
    assert len(set(re.findall(r"throttled/[^|]*?/\w+", pyperf_says("show", monday)))) == 8


def test_suites_merge_and_another_machines_does_not(result, tmp_path):
    (one, *_) = write_pyperf(result, tmp_path / "one")
    (two, *_) = write_pyperf(result, tmp_path / "two")
    elsewhere = replace(result, environment={**ENVIRONMENT, "cpu_model": "Intel Xeon"})
    (other, *_) = write_pyperf(elsewhere, tmp_path / "other")
    both = tmp_path / "both.json"
    pyperf_says("convert", one, "--add", two, "-o", both)
    assert [each.get_nvalue() for each in pyperf.BenchmarkSuite.load(str(both))] == [4] * 8
    with pytest.raises(ValueError, match="cpu_model_name is different"):
        pyperf.BenchmarkSuite.load(str(one)).add_runs(pyperf.BenchmarkSuite.load(str(other)))


def test_a_metric_without_values_is_left_out(tmp_path):
    result = Result(scenario={}, environment={}, runs=(_run("zlib-1", 1, 3.0, downtime_s=None, wire_bytes=0),))
    _, path = write_pyperf(result, tmp_path)
    assert set(pyperf.BenchmarkSuite.load(str(path)).get_benchmark_names()) == {"total_time", "cpu_total"}


def test_methods_of_similar_names_have_a_file_each(tmp_path):
    result = Result(scenario={}, environment={}, runs=(_run("a/b", 1, 3.0), _run("a_b", 1, 2.0)))
    assert len({path.name for path in write_pyperf(result, tmp_path)}) == 3


def test_nothing_is_written_where_nothing_completed(tmp_path):
    result = Result(scenario={}, environment={}, runs=(_run("zlib-1", 1, 3.0, status="failed"),))
    assert write_pyperf(result, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot save the runs for pyperf"):
        write_pyperf(result, tmp_path / "file")
