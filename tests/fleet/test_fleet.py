"""`pageferry fleet` on this machine: a worker that is killed, an interrupt, and going on."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from small_results import small_run

from harness import cli
from harness.experiment.campaign import new_campaign
from harness.experiment.events import RunFinished
from harness.experiment.plan import Repeats
from harness.results.result import Result, load_result, save_result
from harness.scenario.sweep import load_sweep

TINY = """
description = "the least that crosses a pair"
repeats = 1
warmups = 0
[guest]
kind = "synthetic"
memory = "16MiB"
working_set = "1MiB"
[link]
kind = "relay"
[[method]]
name = "none"
engine = "pageferry"
backend = "none"
baseline = true
"""
PATIENCE_S = 300


@pytest.fixture
def tiny(tmp_path):
    """A scenario of one run, one of more than any test waits for, and one of two cells."""
    (tmp_path / "short.toml").write_text(TINY)
    (tmp_path / "endless.toml").write_text(TINY.replace("repeats = 1", "repeats = 1000"))
    (tmp_path / "two.toml").write_text(TINY + '[sweep]\n"link.bandwidth" = ["1Gbit/s", "2Gbit/s"]\n')
    return tmp_path


def soon(look):
    """What ``look`` gives once it gives something."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return found


def leader_of(fleet: psutil.Process) -> psutil.Process | None:
    for process in fleet.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "harness.fleet.leader" in process.cmdline():
                return process
    return None


def ended(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def runs_in(out: Path) -> list[tuple[str, int]]:
    file = out / "latest" / "endless" / "result.json"
    return [(run.method, run.repeat) for run in load_result(file).runs] if file.is_file() else []


@pytest.mark.timeout(900)  # three interpreters start for it, each with all that a run needs
def test_a_killed_worker_costs_the_run_in_progress_and_an_interrupt_keeps_what_finished(tiny):
    """In a folder whose modules are not taken for Python's, and with nothing left where temporary files go."""
    out, log, temporary = tiny / "out", tiny / "said", tiny / "tmp"
    temporary.mkdir()
    for name in ("queue", "select", "typing"):
        (tiny / f"{name}.py").write_text("raise SystemExit('taken from the working folder')\n")
    argv = ["fleet", str(tiny / "short.toml"), str(tiny / "endless.toml"), "--out", str(out)]
    with log.open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.cli", *argv],
            stdout=said,
            stderr=said,
            cwd=tiny,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
    fleet = psutil.Process(child.pid)
    try:
        soon(lambda: runs_in(out))
        leader = leader_of(fleet)
        leader.parent().kill()
        soon(lambda: ended(leader))
        before = runs_in(out)
        soon(lambda: len(runs_in(out)) > len(before))
        family = fleet.children(recursive=True)
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE_S) == 130
    finally:
        child.kill()
        child.wait()
    _, alive = psutil.wait_procs(family, PATIENCE_S)
    assert alive == []
    assert list(temporary.iterdir()) == []
    kept = runs_in(out)
    assert kept == [("none", repeat) for repeat in range(1, len(kept) + 1)]
    text = log.read_text()
    assert "short on this machine: ok, 1 run," in text
    assert "endless on this machine: its worker died" in text
    assert text.splitlines()[-2].endswith("the same command with --resume goes on")
    assert text.splitlines()[-1] == "pageferry: interrupted"


def test_cells_that_are_whole_are_not_run_again_and_all_results_are_gathered(tiny, capsys, monkeypatch):
    monkeypatch.setattr("harness.fleet.cluster.own_cluster", None)  # none is started for nothing
    cells = load_sweep(tiny / "two.toml")
    campaign = new_campaign(tiny / "out", {cell.name: cell for cell in cells}, ["lab"])
    run = small_run("none")
    for part in campaign.parts:
        result = Result(part.scenario.told(), {"cores": 2}, (run,), identity=campaign.identity)
        save_result(Repeats(part.scenario).concluded(result), part.result)
    campaign.noting(lambda _: None)(RunFinished(run))
    assert cli.main(["fleet", str(tiny / "two.toml"), "--out", str(tiny / "out"), "--resume"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    whole, folder, site = told.out.splitlines()
    assert whole == "2 of 2 cells are whole, and are not run again"
    assert Path(folder.removeprefix("results: ")) == campaign.folder
    page = Path(site.removeprefix("site: ")).read_text()
    assert all(cell.name in page for cell in cells)


def test_without_the_extra_a_line_says_what_to_install(capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name))
    assert cli.main(["fleet", "throttled"]) == 3
    assert capsys.readouterr().err.endswith("""-m pip install "pageferry[fleet]"\n""")
