"""The recordings that come with us, and the script that makes them: its guests are ones that a scenario may have."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import scenarios
from harness.scenario.model import load_scenario
from harness.streams.passes import StreamNotes
from harness.streams.recording.layout import Sample
from harness.streams.recording.reader import open_recording
from scenarios.recordings import make

MOST_BYTES = 12_000_000


@pytest.fixture
def commands(monkeypatch):
    """Those that it would run, in place of running them."""
    ran = []

    def run(argv, *, check):
        ran.append(argv[1:])
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_each_guest_is_one_that_a_scenario_may_have_and_a_sample_of_it_is_kept(commands, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make.py"])
    assert make.main() == 0
    assert len(commands) == 2 * len(make.RECORDINGS)
    for name, record, sample in zip(make.RECORDINGS, commands[::2], commands[1::2], strict=True):
        assert record[:4] == ["-m", "harness.cli", "record", "throttled"]
        settings = [word.removeprefix("--set=") for word in record if word.startswith("--set=")]
        guest = load_scenario("throttled", settings).guest
        assert f"{guest.kind}-{guest.workload}" == name
        assert sample[:3] == ["-m", "harness.streams.sample", record[-1]]
        assert Path(sample[3]) == Path(scenarios.__file__).parent / "recordings" / f"{name}.pfs"
        (text,) = (Path(word.partition("=")[2]) for word in record if word.startswith("--licences="))
        assert "GPL-2.0-only" in text.read_text()


def test_those_that_come_with_us_are_the_scripts_and_small():
    assert scenarios.recording_names() == tuple(sorted(make.RECORDINGS))
    files = [scenarios.find_recording(name) for name in make.RECORDINGS]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES


@pytest.mark.parametrize("name", make.RECORDINGS)
def test_each_is_whole_and_says_what_it_is_and_whose(name):
    recording = open_recording(scenarios.find_recording(name))
    notes = StreamNotes()
    for piece in recording.stream():
        notes.take(piece, 0.0)
    assert notes.facts().pages == recording.index.facts.pages
    assert notes.parser.is_whole()
    about = recording.about
    assert about.guest["workload"] == make.RECORDINGS[name].guest["workload"]
    assert about.sample == Sample(make.RECORDINGS[name].of, 1)
    assert about.licences == (make.FOLDER / "LICENCES.txt").read_text()
    packages = [each.split()[0] for each in about.environment["guest_packages"].split(", ")]
    named = set(re.split(r"[\s,]+", about.licences))
    assert [package for package in packages if not (package in named or package.startswith("linux-image-"))] == []
    heads = re.findall(r"^={9,}\n(.+)\n={9,}$", (make.FOLDER / "COPYRIGHT.txt").read_text(), re.MULTILINE)
    assert set(packages) <= {package for head in heads for package in head.split(", ")}


def test_each_source_package_is_named_with_its_version_and_digest():
    text = (make.FOLDER / "COPYRIGHT.txt").read_text()
    table = text.partition("SHA-256 of the package's .dsc file\n")[2].partition("\n\n")[0]
    rows = [line.split() for line in table.splitlines()]
    assert {"linux", "busybox", "glibc", "gcc-12", "qemu", "redis"} <= {row[0] for row in rows}
    assert all(re.fullmatch(r"[a-z][a-z0-9.+-]+ \S+ [0-9a-f]{64}", " ".join(row)) for row in rows)


def test_a_name_that_it_does_not_know_is_told(commands, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make.py", "linux"])
    with pytest.raises(SystemExit):
        make.main()
    assert "'linux': unknown recording; known: linux-idle, linux-build, linux-redis" in capsys.readouterr().err
    assert commands == []
