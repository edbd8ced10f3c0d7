"""The script that makes recordings of Linux guests: its guests are ones that a scenario may have, and what it runs is ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import scenarios
from harness.scenario.model import load_scenario
from scenarios.recordings import make


@pytest.fixture
def commands(monkeypatch):
    """Those that it would run, in place of running them."""
    ran = []

    def run(argv, *, check):
        ran.append(argv[1:])
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_each_guest_is_one_that_a_scenario_may_have(commands, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make.py"])
    assert make.main() == 0
    assert len(commands) == len(make.GUESTS)
    for name, command in zip(make.GUESTS, commands, strict=True):
        assert command[:4] == ["-m", "harness.cli", "record", "throttled"]
        assert Path(command[-1]) == Path(scenarios.__file__).parent / "recordings" / f"{name}.pfs"
        settings = [word.removeprefix("--set=") for word in command if word.startswith("--set=")]
        guest = load_scenario("throttled", settings).guest
        assert f"{guest.kind}-{guest.workload}" == name
        (text,) = (Path(word.partition("=")[2]) for word in command if word.startswith("--licences="))
        assert "GPL-2.0-only" in text.read_text()


def test_small_ones_are_repacked(commands, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make.py", "--small", "linux-idle"])
    assert make.main() == 0
    (_, recorded), (_, repacked) = ((command, command[-1]) for command in commands)
    assert commands[1] == ["-m", "harness.streams.recording.repack", recorded, repacked]
    assert Path(repacked) == make.FOLDER / "linux-idle.pfs"


def test_a_name_that_it_does_not_know_is_told(commands, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make.py", "linux"])
    with pytest.raises(SystemExit):
        make.main()
    assert "'linux': unknown recording; known: linux-idle, linux-build, linux-redis" in capsys.readouterr().err
    assert commands == []
