"""``pageferry bench``: a table, a page, JSON, and a file that pyperf reads."""

import contextlib
import io
import subprocess
import sys

import pyperf
import pytest

from harness import cli
from harness.bench import measure
from harness.results.bench import load_bench


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What it printed, and its folder."""
    folder, said = tmp_path_factory.mktemp("bench"), io.StringIO()
    cells = ["--size", "64KiB", "--unit", "64KiB", "--threads", "1", "--codec", "isal:1..2"]
    with contextlib.redirect_stdout(said), pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_LEAST_S", 0.0)
        assert cli.main(["bench", *cells, "--out", str(folder / "out"), "--json", str(folder / "also.json")]) == 0
    return said.getvalue(), folder


def test_a_bench_writes_everything_and_prints_ratios_of_one_run(made):
    out, folder = made
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert {"memcpy", "isal:1", "isal:2", "zlib:1"} <= rows.keys()
    assert "x zlib:1" in out
    bench = load_bench(folder / "out")
    assert load_bench(folder / "also.json") == bench
    assert {len(cell.compress_s) for cell in bench.cells} == {6}
    page = (folder / "out" / "bench.html").read_text()
    assert "Speed and ratio, compressing: 64 KiB at once, 1 thread" in page


def test_pyperf_reads_the_suite_with_sense(made):
    path = made[1] / "out" / "pyperf.json"
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert "isal:1/64KiB/1 thread/compress" in suite.get_benchmark_names()
    assert len(suite.get_benchmark_names()) == 8
    assert {bench.get_unit() for bench in suite} == {"second"}
    assert all(len(run.values) == 1 for bench in suite for run in bench.get_runs())
    assert suite.get_metadata()["input_bytes"] == 64 << 10
    for arguments in (["stats", path], ["compare_to", path, path, "--table"]):
        command = [sys.executable, "-m", "pyperf", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "isal:1/64KiB/1 thread/compress" in done.stdout
        assert " days" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere.pfs"], 2, "'nowhere.pfs': unknown input"),
        (["--codec", "zlob"], 2, "error: --codec zlob: unknown backend 'zlob'; did you mean 'zlib'?"),
        (["--unit", "5KiB"], 2, "--unit 5 KiB: must be whole pages of 4 KiB"),
        (["--unit", "8MiB"], 2, "at most 4 MiB"),
        (["--size", "4KiB"], 2, "--size 4 KiB: must be whole pages of 4 KiB, at least 1 MiB"),
        (["--values", "3"], 2, "6<=x<=1000"),
        (["--codec", "qatzip"], 3, "backend 'qatzip' is not available"),
    ],
)
def test_bad_input_is_one_line(arguments, status, words, tmp_path, capsys):
    assert cli.main(["bench", *arguments, "--out", str(tmp_path)]) == status
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
