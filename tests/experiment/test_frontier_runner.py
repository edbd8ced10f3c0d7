"""A search with imaginary guests: what is tried, in what order, what is saved, and what an interrupt leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from harness.errors import MissingError, PeerError, QemuError, UserError
from harness.experiment import runner
from harness.experiment.events import RunFinished, RunStarted
from harness.results.result import Run, load_result
from harness.scenario.model import load_scenario

MIB = 1 << 20
TOML = """
description = "an edge"
timeout = "20s"
[guest]
kind = "stress"
dirty_rate = "50MiB/s"
[frontier]
dirty_rate = {from = "10MiB/s", to = "400MiB/s"}
downtime_limit = {from = "1ms", to = "300ms"}
[[method]]
name = "a"
engine = "qemu"
baseline = true
[[method]]
name = "b"
engine = "pageferry"
backend = "zlib"
"""
RATES = {"a": 110 * MIB, "b": 290 * MIB}
LIMITS = {"a": 0.1, "b": 0.02}


class FakeLab:
    """A guest that converges up to its method's rate and down to its method's limit. ``made`` is what was tried."""

    def __init__(self, scenario, made, fails) -> None:
        self.scenario, self.made, self.fails = scenario, made, fails

    def __enter__(self) -> FakeLab:
        return self

    def __exit__(self, *_: object) -> None: ...

    def describe(self) -> dict[str, str]:
        return {"link": "imaginary"}

    def memory_classes(self) -> dict[str, dict[str, float]]:
        return {}

    def run(self, method, logs: Path, on_progress) -> Run:
        rate, limit_s = self.scenario.guest.dirty_rate_bytes_per_s, self.scenario.downtime_limit_s
        self.made.append((method.name, rate, limit_s))
        if failure := self.fails.get((method.name, len(self.made))) or self.fails.get(method.name):
            raise failure
        if rate <= RATES[method.name] and limit_s >= LIMITS[method.name]:
            ended = {"status": "completed", "downtime_s": limit_s, "total_time_s": 2.0, "verified": True}
        else:
            ended = {"status": "timeout", "reason": "no end"}
        return Run(method.name, 0, warmup=False, guest_dirty_rate_bytes_per_s=float(rate), **ended)


@pytest.fixture
def run(tmp_path, monkeypatch):
    def start(fails=None, *, resume=False):
        (tmp_path / "edge.toml").write_text(TOML)
        made, events = [], []
        monkeypatch.setattr(runner, "Lab", lambda scenario: FakeLab(scenario, made, fails or {}))
        scenario = load_scenario(tmp_path / "edge.toml")
        result = runner.run_scenario(scenario, tmp_path / "out", events.append, resume=resume)
        return made, events, result

    start.out = tmp_path / "out"
    return start


def test_every_frontier_is_found_between_its_ends(run):
    _, _, result = run()
    found = {(each.search, each.method): each for each in result.frontiers}
    assert len(found) == 4
    for name in "ab":
        rate, limit = found["dirty_rate", name], found["downtime_limit", name]
        assert rate.converged_at <= RATES[name] < rate.failed_at
        assert limit.failed_at < LIMITS[name] <= limit.converged_at
        assert rate.finished
        assert limit.finished
    assert found["dirty_rate", "b"].vs_baseline == pytest.approx(290 / 110, rel=0.15)


def test_methods_take_turns_and_each_search_keeps_the_other_key_as_the_scenario_has_it(run):
    made, _, result = run()
    assert [name for name, _, _ in made[:6]] == [*"ababab"]
    by_search = {"dirty_rate": set(), "downtime_limit": set()}
    for (_, rate, limit_s), each in zip(made, result.runs, strict=True):
        by_search[each.attempt.search].add(limit_s if each.attempt.search == "dirty_rate" else rate)
    assert by_search == {"dirty_rate": {0.3}, "downtime_limit": {50 * MIB}}


def test_every_attempt_is_kept_with_what_it_tried_and_saved_at_once(run, monkeypatch):
    seen = []
    keep = runner.save_result
    monkeypatch.setattr(
        runner, "save_result", lambda result, path: (keep(result, path), seen.append(load_result(path)))
    )
    made, _, result = run()
    assert [len(each.runs) for each in seen] == list(range(len(made) + 1))
    assert all(each.attempt is not None and each.attempt.converged is not None for each in result.runs)
    assert [r.repeat for r in result.runs if r.method == "a"] == list(range(1, 1 + sum(m == "a" for m, _, _ in made)))


def test_progress_says_what_is_tried_and_about_how_many_are_to_come(run):
    made, events, _ = run()
    started = [event for event in events if isinstance(event, RunStarted)]
    assert [event.index for event in started] == list(range(1, len(made) + 1))
    assert started[0].tried == "dirty rate 10 MiB/s"
    assert all(event.total >= event.index for event in started)
    assert started[-1].total == len(made)
    assert len([event for event in events if isinstance(event, RunFinished)]) == len(made)


def test_what_this_machine_lacks_is_tried_once(run):
    made, _, result = run({"b": MissingError("no card here")})
    assert [name for name, _, _ in made].count("b") == 1
    assert result.warnings == ("b: dirty rate: skipped: no card here.",)


def test_a_failure_is_a_run_that_says_nothing_and_is_made_again(run):
    _, _, result = run({("b", 2): QemuError("the source died")})
    assert [r.error for r in result.runs if r.status == "failed"] == ["QemuError: the source died"]
    assert {each.finished for each in result.frontiers} == {True}


def test_a_lab_that_does_not_open_is_a_failed_run(run, monkeypatch):
    opened = []

    def open_lab(scenario):
        opened.append(scenario)
        if len(opened) == 3:
            raise PeerError("the namespace is gone")
        return FakeLab(scenario, [], {})

    monkeypatch.setattr(runner, "Lab", open_lab)
    path = run.out.parent / "edge.toml"
    path.write_text(TOML)
    result = runner.run_scenario(load_scenario(path), run.out, lambda _: None)
    assert [r.reason for r in result.runs if r.status == "failed"] == ["the namespace is gone"]


def test_an_interrupt_leaves_what_finished(run):
    with pytest.raises(KeyboardInterrupt):
        run({("a", 5): KeyboardInterrupt()})
    saved = load_result(run.out)
    assert len(saved.runs) == 4
    assert len(saved.frontiers) == 2
    assert not any(each.finished for each in saved.frontiers)


def test_what_was_interrupted_goes_on_where_it_stopped_and_ends_the_same(run):
    _, _, whole = run()
    (run.out / "result.json").unlink()
    with pytest.raises(KeyboardInterrupt):
        run({("a", 9): KeyboardInterrupt()})
    made, _, resumed = run(resume=True)
    assert len(made) == len(whole.runs) - 8
    assert resumed.frontiers == whole.frontiers
    assert [r.attempt for r in resumed.runs] == [r.attempt for r in whole.runs]
    made, _, again = run(resume=True)
    assert made == []
    assert again == resumed


def test_other_settings_are_not_resumed(run, tmp_path):
    run()
    other = load_scenario(tmp_path / "edge.toml", ["timeout=10s"])
    with pytest.raises(
        UserError, match=r"result\.json: --resume: timeout_s was 20.0, and is 10.0 now: .* leave --resume out"
    ):
        runner.run_scenario(other, run.out, lambda _: None, resume=True)


def test_the_command_ends_well_though_attempts_timed_out_and_prints_both_frontiers(run, monkeypatch, capsys):
    run()  # sets the imaginary lab
    out_folder = run.out.parent / "again"
    monkeypatch.setenv("COLUMNS", "200")
    path = run.out.parent / "edge.toml"
    assert cli.main(["run", str(path), "--out", str(out_folder)]) == 0
    out = capsys.readouterr().out
    assert "edge: highest dirty rate at which it converges [votes]" in out
    assert "edge: lowest downtime limit at which it converges [votes]" in out
    assert "a, dirty rate 400 MiB/s: did not converge: no end within 20 s" in out
    assert (out_folder / "latest" / "report.html").exists()
    assert not list((out_folder / "latest" / "pyperf").glob("*.json"))
