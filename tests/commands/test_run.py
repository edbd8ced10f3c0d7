"""`pageferry run`: what it writes and prints, and how it ends."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from small_results import small_result, small_run

from harness import cli
from harness.errors import CodecError, MissingError, PeerError, QemuError, ResultError
from harness.experiment.events import RunFinished, RunProgress, RunStarted
from harness.experiment.progress import progress
from harness.results.result import load_result, save_result
from reports.terminal.summary import print_summary


@pytest.fixture
def runner(monkeypatch):
    """Puts a runner in place of the real one; set its ``runs`` or its ``error``."""
    module = type(sys)("harness.experiment.runner")
    module.runs, module.error, module.seen = (small_run("original"), small_run("isal-1")), None, []

    def run_scenario(scenario, out, on_event, *, identity, resume, skip_missing):
        assert identity.run_id in out.parts
        module.seen.append((scenario, out))
        for index, run in enumerate(module.runs, 1):
            on_event(RunStarted(run.method, run.repeat, index, len(module.runs), run.warmup))
            on_event(RunProgress(run.method, 0.5, 2, 1_000_000, 1e6, 4_000_000))
            on_event(RunFinished(run))
        result = small_result(*module.runs, name=scenario.name)
        save_result(result, out / "result.json")
        if module.error is not None:
            raise module.error
        return result

    module.run_scenario = run_scenario
    monkeypatch.setitem(sys.modules, "harness.experiment.runner", module)
    monkeypatch.setattr(importlib.import_module("harness"), "runner", module, raising=False)
    return module


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MissingError("no root"), 3),
        (QemuError("died"), 4),
        (PeerError("gone"), 5),
        (CodecError("damaged"), 6),
        (ResultError("full"), 7),
        (KeyboardInterrupt(), 130),
        (ValueError("oops\nsecond line"), 70),
        (MemoryError(), 3),
        (ImportError("libopenblas.so: failed to map segment from shared object"), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_an_error_of_the_runner_has_its_status_and_one_line(runner, error, status, capsys, tmp_path):
    runner.error = error
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == status
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("pageferry: ")
    assert load_result(tmp_path).runs == runner.runs, "what finished stays"


def test_what_a_scenario_says_of_itself_stands_beside_what_is_set_otherwise(runner, capsys, tmp_path):
    assert cli.main(["run", "throttled", "--set", "link.bandwidth=100Mbit/s", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert said.startswith("throttled: 1 Gbit/s: ")
    assert said.endswith(" (with link.bandwidth=100Mbit/s)")


def test_where_every_method_was_skipped_nothing_ran_and_the_status_says_so(runner, capsys, tmp_path):
    lacking = {"status": "skipped", "reason": "link: netns needs root", "verified": None, "downtime_s": None}
    runner.runs = tuple(small_run(name, None, **lacking) for name in ("original", "isal-1"))
    assert cli.main(["run", "throttled", "--out", str(tmp_path / "a")]) == 3
    captured = capsys.readouterr()
    assert "isal-1: skipped: link: netns needs root" in captured.out
    assert (
        captured.err == "pageferry: error: throttled: nothing ran, for every method was skipped with the reason above\n"
    )
    assert cli.main(["run", "throttled", "--skip-missing", "--out", str(tmp_path / "b")]) == 0
    runner.runs = (runner.runs[0], small_run("isal-1"))
    assert cli.main(["run", "throttled", "--out", str(tmp_path / "c")]) == 0


@pytest.mark.parametrize("args", [["--debug", "run"], ["run", "--debug"]], ids=["before", "behind"])
def test_debug_shows_the_traceback(runner, args, capsys, tmp_path):
    runner.error = PeerError("gone")
    assert cli.main([*args, "throttled", "--out", str(tmp_path)]) == 5
    assert "Traceback" in capsys.readouterr().err


def test_run_writes_everything_and_prints_the_table(runner, capsys, tmp_path):
    assert cli.main(["run", "throttled", "--out", str(tmp_path), "--set", "repeats=1"]) == 0
    out = capsys.readouterr().out
    for path in ("result.json", "report.html", "pyperf/original.json", "pyperf/isal-1.json"):
        assert (tmp_path / "latest" / path).is_file(), path
    assert f"report: {(tmp_path / 'latest').resolve() / 'report.html'}" in out
    assert "[2/2] isal-1, repeat 1: ok, 1000 ms, downtime 40 ms" in out
    row = next(line for line in out.splitlines() if line.lstrip().startswith("isal-1 "))
    assert row.split() == [
        "isal-1",
        "1000",
        "40",
        "95.4",
        "\u00b10",
        "%",
        *["cannot", "tell,", "needs", "n", "=", "5"],
        "1.00",
        "1/1",
        "1",
    ]
    ((scenario, folder),) = runner.seen
    assert (scenario.repeats, folder) == (1, (tmp_path / "latest").resolve())


def test_run_of_several_scenarios_fills_a_folder_each_and_an_index(runner, capsys, tmp_path):
    assert cli.main(["run", "unlimited", "throttled", "--out", str(tmp_path)]) == 0
    newest = (tmp_path / "latest").resolve()
    assert [folder for _, folder in runner.seen] == [newest / "unlimited", newest / "throttled"]
    assert (newest / "throttled" / "report.html").is_file()
    index = newest / "index.html"
    assert "throttled/report.html" in index.read_text()
    assert f"index: {index}" in capsys.readouterr().out


def test_a_wrong_second_scenario_stops_before_the_first_runs(runner, tmp_path):
    assert cli.main(["run", "throttled", "nonsense", "--out", str(tmp_path)]) == 2
    assert runner.seen == []


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (small_run("isal-1", None, status="failed", error="it broke", verified=None), 1),
        (small_run("isal-1", None, status="timeout", reason="after 120 s", verified=None), 1),
        (small_run("isal-1", verified=False), 1),
        (small_run("isal-1", None, status="skipped", reason="not in this QEMU", verified=None), 0),
        (small_run("isal-1", None, status="skipped", reason="not in this QEMU", verified=None, warmup=True), 0),
        (small_run("isal-1", verified=None), 0),
    ],
    ids=["failed", "timeout", "unverified", "skipped", "skipped in the warm-up", "replay"],
)
def test_the_exit_status_tells_whether_every_run_is_good(runner, run, status, capsys, tmp_path):
    runner.runs = (small_run("original"), run)
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == status
    reason = run.reason or run.error
    if reason:
        assert capsys.readouterr().out.count(reason) == 2, "on its line and in the table"


def test_interrupted_says_where_the_finished_runs_are(runner, capsys, tmp_path):
    runner.error = KeyboardInterrupt()
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 130
    assert f"what finished is in {(tmp_path / 'latest').resolve()}" in capsys.readouterr().err


def test_sigterm_ends_like_ctrl_c_and_the_handler_is_put_back(runner, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    real = runner.run_scenario

    def terminated(*args, **settings):
        real(*args, **settings)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    runner.run_scenario = terminated
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_user_of_no_list_and_without_a_home_can_run(runner, monkeypatch, tmp_path):
    """As in a container; libraries of the report ask for the home when they are imported."""

    def no_home() -> Path:
        if home := os.environ.get("HOME"):
            return Path(home)
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert cli.main(["run", "throttled", "--out", str(tmp_path)]) == 0
    monkeypatch.delenv("HOME")


def test_the_live_display_shows_method_pass_rate_and_time_to_go():
    now = [0.0]
    console = Console(force_terminal=True, width=160, file=open(os.devnull, "w"), record=True)  # noqa: SIM115, PTH123
    with progress(console, "throttled", clock=lambda: now[0]) as on_event:
        on_event(RunStarted("original", 1, 1, 4, warmup=False))
        now[0] = 10.0
        on_event(RunFinished(small_run("original")))
        on_event(RunStarted("isal-1", 1, 2, 4, warmup=False))
        now[0] = 12.0
        on_event(RunProgress("isal-1", 1.5, 3, 50 << 20, 112 << 20, 90 << 20))
        board = on_event.__closure__[0].cell_contents
        assert board.remaining_s() == 28.0
        console.print(board)
    console.file.close()
    text = console.export_text()
    for words in (
        "run 2/4",
        "isal-1, repeat 1",
        "pass 3",
        "112 MiB/s",
        "about 0:28 to go",
        "[1/4] original, repeat 1: ok",
    ):
        assert words in text, words


def test_a_name_that_looks_like_markup_is_printed_as_it_is():
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    run = small_run("[red]x[/red]", None, status="failed", error="[/bold] broke", verified=None)
    print_summary(console, small_result(small_run("original"), run))
    with progress(console, "x") as on_event:
        on_event(RunFinished(run))
    console.file.close()
    text = console.export_text()
    assert text.count("[red]x[/red]") == 3  # table, why it is missing, progress
    assert text.count("[/bold] broke") == 2
    assert "[red]x[/red]: 1 failed: [/bold] broke" in text
