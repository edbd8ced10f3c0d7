"""The order of runs, what failures become, and that a valid result is on disk at every moment."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.errors import MissingError, PeerError, ResultError
from harness.experiment import runner
from harness.experiment.events import RunFinished, RunStarted
from harness.results.result import Run, load_result
from harness.scenario.model import load_scenario

TOML = """
description = "three methods"
repeats = {repeats}
warmups = 1
[guest]
kind = "synthetic"
memory = "64MiB"
working_set = "4MiB"
[link]
kind = "relay"
[[method]]
name = "a"
engine = "pageferry"
backend = "none"
baseline = true
[[method]]
name = "b"
engine = "pageferry"
backend = "zlib"
[[method]]
name = "c"
engine = "pageferry"
backend = "zlib"
level = 9
"""


class FakeLab:
    """Every run takes as many seconds as its turn; ``fails[method]`` is raised instead."""

    def __init__(self, fails: dict[str, BaseException]) -> None:
        self.fails = fails
        self.made: list[str] = []
        self.open = False

    def __enter__(self) -> FakeLab:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    def describe(self) -> dict[str, str]:
        return {"link": "imaginary"}

    def memory_classes(self) -> dict[str, dict[str, float]]:
        return {"zero": {"share": 1.0}}

    def run(self, method, logs: Path, on_progress) -> Run:
        self.made.append(method.name)
        if method.name in self.fails:
            raise self.fails[method.name]
        return Run(method.name, 0, warmup=False, status="completed", total_time_s=float(len(self.made)), verified=True)


@pytest.fixture
def run(tmp_path, monkeypatch):
    def start(fails: dict[str, BaseException] | None = None, repeats: int = 3):
        (tmp_path / "three.toml").write_text(TOML.format(repeats=repeats))
        lab = FakeLab(fails or {})
        monkeypatch.setattr(runner, "Lab", lambda _: lab)
        events = []
        result = None
        try:
            result = runner.run_scenario(load_scenario(tmp_path / "three.toml"), tmp_path / "out", events.append)
        finally:
            assert not lab.open
        return lab, events, result

    start.out = tmp_path / "out"
    return start


def test_warm_ups_come_first_and_each_repeat_begins_one_method_further(run):
    lab, events, result = run()
    assert lab.made == [*"abc", *"abc", *"bca", *"cab"]
    assert [r.warmup for r in result.runs] == [True] * 3 + [False] * 9
    started = [event for event in events if isinstance(event, RunStarted)]
    assert [(e.index, e.total) for e in started] == [(i, 12) for i in range(1, 13)]


def test_warm_ups_do_not_count_in_the_summary(run):
    _, _, result = run()
    assert result.summary["a"]["total_time_s"].n == 3
    assert result.summary["a"]["total_time_s"].median == 9.0
    assert result.summary["b"]["total_time_s"].vs_baseline is not None


def test_a_failure_is_a_run_with_its_error_and_the_others_go_on(run):
    lab, _, result = run({"b": PeerError("the link died")})
    assert lab.made.count("b") == 4
    failed = [r for r in result.runs if r.method == "b"]
    assert {(r.status, r.reason, r.error) for r in failed} == {("failed", "the link died", "PeerError: the link died")}
    assert result.summary["c"]["total_time_s"].n == 3


def test_what_this_machine_lacks_is_skipped_once_with_its_reason(run):
    lab, _, result = run({"b": MissingError("QEMU 10.0 has no migration capability 'compress'")})
    assert lab.made.count("b") == 1
    (skipped,) = [r for r in result.runs if r.method == "b"]
    assert (skipped.status, skipped.reason) == ("skipped", "QEMU 10.0 has no migration capability 'compress'")


def test_where_nothing_can_run_every_method_is_skipped_with_the_reason_if_it_is_to_be(tmp_path, monkeypatch):
    (tmp_path / "three.toml").write_text(TOML.format(repeats=3))
    scenario, lab = load_scenario(tmp_path / "three.toml"), MagicMock()
    lab.__enter__.side_effect = MissingError("qemu-system-x86_64: not found on PATH; install QEMU")
    monkeypatch.setattr(runner, "Lab", lambda _: lab)
    with pytest.raises(MissingError):
        runner.run_scenario(scenario, tmp_path / "strict", lambda _: None)
    assert not (tmp_path / "strict").exists()
    runner.run_scenario(scenario, tmp_path / "out", lambda _: None, skip_missing=True)
    saved = load_result(tmp_path / "out")
    assert [(run.method, run.status, run.reason) for run in saved.runs] == [
        (name, "skipped", "qemu-system-x86_64: not found on PATH; install QEMU") for name in "abc"
    ]
    assert runner.is_whole(scenario, tmp_path / "out" / "result.json")


def test_an_interrupt_leaves_what_finished(run):
    with pytest.raises(KeyboardInterrupt):
        run({"c": KeyboardInterrupt()})
    saved = load_result(run.out)
    assert [r.method for r in saved.runs] == ["a", "b"]
    assert not list(run.out.glob(".*"))


def test_the_result_is_saved_after_every_run(run, monkeypatch):
    seen = []
    keep = runner.save_result
    monkeypatch.setattr(
        runner, "save_result", lambda result, path: (keep(result, path), seen.append(load_result(path)))
    )
    _, events, _ = run(repeats=1)
    assert [len(result.runs) for result in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert len([event for event in events if isinstance(event, RunFinished)]) == 6


def test_a_result_that_cannot_be_saved_stops_with_the_place(run):
    run.out.mkdir()
    (run.out / "result.json").mkdir()
    with pytest.raises(ResultError, match=r"result\.json: cannot save the result"):
        run()
    assert not list(run.out.glob(".*"))


def test_what_the_lab_says_and_the_scenario_as_run_are_in_the_result(run):
    _, _, result = run()
    assert result.environment["link"] == "imaginary"
    assert result.scenario["guest"]["memory_bytes"] == 64 << 20
    assert result.memory_classes == {"zero": {"share": 1.0}}


def test_a_full_disk_ends_the_scenario_instead_of_failing_every_run(run):
    with pytest.raises(ResultError, match="No space left"):
        run({"b": ResultError("out/logs: cannot keep the run's logs: No space left on device; free space")})
    assert [r.method for r in load_result(run.out).runs] == ["a"]
