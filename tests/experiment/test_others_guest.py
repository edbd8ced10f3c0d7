"""A guest kind of somebody else's: a file outside the package, named by an entry point; a whole scenario runs with it, no QEMU."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import install

from harness.experiment.events import Event, RunProgress
from harness.experiment.runner import run_scenario
from harness.hosts import limits
from harness.results.doubts import Throttled
from harness.results.result import load_result
from harness.scenario.model import load_scenario

GUEST = """
import socket
from contextlib import contextmanager
from harness.guests.contract import Crossing, Ends, Glimpse, Guest
from harness.scenario.kinds import GuestSettings

class ParrotSettings(GuestSettings):
    kind: str = "parrot"
    says: str = "hello"

class ParrotEnds(Ends):
    parameters, cpu_s, confirms = {"parrot.colour": "grey"}, {}, False

    def __init__(self, words):
        self.words, self.heard, self.server = words, b"", socket.create_server(("127.0.0.1", 0))

    def listen(self, address):
        return f"tcp:127.0.0.1:{self.server.getsockname()[1]}"

    def begin(self): pass

    def migrate(self, address, timeout_s, on_glimpse):
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as source, self.server.accept()[0] as end:
            source.sendall(self.words)
            self.heard = end.recv(len(self.words), socket.MSG_WAITALL)
        on_glimpse(Glimpse(0.1, stream_bytes=len(self.words)))
        return Crossing(stream_bytes=len(self.words), total_time_s=0.25)

    def examine(self, crossing):
        return Crossing(total_time_s=crossing.total_time_s, stream_bytes=crossing.stream_bytes, verified=self.heard == self.words)

class Parrot(Guest):
    settings, summary = ParrotSettings, "a bird that says what it heard"

    def open(self): pass

    def describe(self): return {"bird": self.scenario.guest.says}

    @contextmanager
    def ends(self, method, place):
        ends = ParrotEnds(self.scenario.guest.says.encode() * 1000)
        with ends.server: yield ends
"""
SCENARIO = """
description = "a parrot"
repeats = 2
[guest]
kind = "parrot"
says = "good day"
[link]
kind = "relay"
[[method]]
name = "spoken"
engine = "qemu"
baseline = true
"""


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario's file, and a distribution with a kind of guest, in one folder."""
    points = "[pageferry.guests]\nparrot = tests_parrot:Parrot\n"
    install(monkeypatch, tmp_path, "parrot", points, tests_parrot=GUEST)
    (tmp_path / "mine.toml").write_text(SCENARIO)
    return tmp_path / "mine.toml"


def test_a_scenario_runs_with_a_guest_that_an_entry_point_names(parrot: Path, tmp_path: Path):
    assert len([line for line in GUEST.splitlines() if line.strip()]) <= 40
    result = run_scenario(load_scenario(parrot), tmp_path / "out", lambda _: None)
    assert [(run.status, run.verified, run.total_time_s) for run in result.runs] == [("completed", True, 0.25)] * 3
    assert result.environment["bird"] == "good day"
    assert [run.stream_bytes for run in result.runs] == [8000] * 3
    assert result.runs[0].parameters == {"parrot.colour": "grey"}
    assert result.runs[0].counters["wire_return_bytes"] == 0
    assert [sample.t_s for sample in result.runs[0].samples] == [0.1]
    assert result.summary["spoken"]["total_time_s"].n == 2
    assert load_result(tmp_path / "out").runs == result.runs


def test_a_run_that_a_control_group_held_back_says_so(parrot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "membership").write_text("0::/\n")
    monkeypatch.setattr(limits, "_GROUPS", tmp_path)
    monkeypatch.setattr(limits, "_MEMBERSHIP", tmp_path / "membership")
    stat = tmp_path / "cpu.stat"
    stat.write_text("throttled_usec 500000\n")

    def hold_back_once(event: Event) -> None:
        if isinstance(event, RunProgress):
            stat.write_text("throttled_usec 2000000\n")

    first, *others = run_scenario(load_scenario(parrot), tmp_path / "out", hold_back_once).runs
    assert first.doubts == (Throttled(1.5),)
    assert [run.doubts for run in others] == [(), ()]
