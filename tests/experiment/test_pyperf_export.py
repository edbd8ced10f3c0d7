"""pyperf's own reader takes what we write, with warm-ups apart and units kept."""

import subprocess
import sys

import pyperf
import pytest

from harness.errors import ResultError
from harness.experiment.pyperf_export import write_pyperf
from harness.results.result import CpuSeconds, Result, Run


def _run(method: str, repeat: int, total_s: float, **fields) -> Run:
    values = {"warmup": False, "status": "completed", "downtime_s": 0.04, "wire_bytes": 1000 + repeat} | fields
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
        scenario={"name": "throttled"},
        environment={},
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


def test_each_method_has_a_file_that_pyperf_reads(result, tmp_path):
    paths = write_pyperf(result, tmp_path / "pyperf")
    assert [path.name for path in paths] == ["original.json", "isal-1_4x2.json"]
    suite = pyperf.BenchmarkSuite.load(str(paths[1]))
    assert set(suite.get_benchmark_names()) == {"total_time", "downtime", "cpu_total", "wire_bytes"}
    benchmark = suite.get_benchmark("total_time")
    assert benchmark.get_values() == (1.0, 1.2)
    assert benchmark.get_runs()[0].warmups == ((1, 7.0),)
    assert suite.get_benchmark("wire_bytes").get_unit() == "byte"
    assert benchmark.get_metadata()["method"] == "isal-1 4x2"


def test_pyperf_compares_two_files(result, tmp_path):
    original, ours = write_pyperf(result, tmp_path)
    command = [sys.executable, "-m", "pyperf", "compare_to", str(original), str(ours), "--table"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "total_time" in done.stdout
    assert "1.91x faster" in done.stdout


def test_a_metric_without_values_is_left_out(tmp_path):
    result = Result(scenario={}, environment={}, runs=(_run("zlib-1", 1, 3.0, downtime_s=None, wire_bytes=0),))
    (path,) = write_pyperf(result, tmp_path)
    assert set(pyperf.BenchmarkSuite.load(str(path)).get_benchmark_names()) == {"total_time", "cpu_total"}


def test_a_folder_that_cannot_be_made_is_one_line(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot save the runs for pyperf"):
        write_pyperf(result, tmp_path / "file" / "pyperf")
