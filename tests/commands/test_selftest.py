"""``pageferry selftest``: what counts as a false alarm, what is said of how many, and what is refused. The runs are made up."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest

from harness import cli
from harness.errors import PeerError
from harness.results.metrics import METRICS
from harness.results.result import CpuSeconds, Run
from harness.results.selftest import Rate, load_selftest
from harness.results.verdicts import fewest_repeats, judge
from reports.terminal.selftest import sentence

SCENARIO = (
    'description="x"\nrepeats=6\nwarmups=0\n[guest]\nkind="synthetic"\nmemory="16MiB"\nworking_set="8MiB"\n'
    '[[method]]\nname="none"\nengine="pageferry"\nbackend="none"\nbaseline=true\n'
    '[[method]]\nname="zlib-1"\nengine="pageferry"\nbackend="zlib"\n'
)
RUNS_OF_A_RESULT = 12


class Lab:
    """Makes runs up: those of each second result take ``slower`` times as long; ``ends`` says what the run of a number does."""

    def __init__(self, slower=1.0, ends=None):
        self.rng, self.slower, self.ends, self.made = random.Random(4), slower, ends or {}, 0

    def describe(self):
        return {}

    def memory_classes(self):
        return {}

    def run(self, method, logs, on_progress):
        self.made += 1
        if (end := self.ends.get(self.made)) is not None:
            raise end
        second = (self.made - 1) // RUNS_OF_A_RESULT % 2
        took_s = self.rng.gauss(1, 0.01) * (self.slower if second else 1)
        cpu_s = CpuSeconds(sender=self.rng.gauss(1, 0.01))
        done = {"status": "completed", "warmup": False, "verified": True, "wire_bytes": 1 << 20}
        return Run(method.name, 1, total_time_s=took_s, cpu_s=cpu_s, **done)


@pytest.fixture
def selftest(tmp_path, monkeypatch):
    """Runs the command on that lab."""
    (tmp_path / "mini.toml").write_text(SCENARIO)
    monkeypatch.setattr("harness.experiment.environment.collect", lambda *_: {"cores": 2})

    def go(lab, *more):
        @contextmanager
        def opened(_):
            yield lab

        monkeypatch.setattr("harness.experiment.runner.Lab", opened)
        given = ["--scenario", str(tmp_path / "mini.toml"), "--out", str(tmp_path / "out")]
        return cli.main(["selftest", *given, *more])

    return go


def test_results_that_are_alike_raise_no_alarm_and_the_bound_is_said(selftest, tmp_path, capsys):
    assert selftest(Lab(), "--aa", "3") == 0
    said = capsys.readouterr().out
    assert "0 false alarms in 3 comparisons: fewer than 63.2 % with 95 % confidence, where the rule allows 3 %." in said
    assert "[3/3] 003-a, 003-b: no difference found" in said
    assert "total time" in said
    told = load_selftest(tmp_path / "out" / "latest")
    assert (told.planned, len(told.pairs), told.metrics) == (3, 3, ("total_time_s", "wire_bytes", "cpu_total_s"))


def test_a_lab_whose_second_results_differ_is_found_out_and_fails(selftest, tmp_path, capsys):
    assert selftest(Lab(slower=1.1), "--aa", "2") == 1
    said = capsys.readouterr().out
    assert "2 false alarms in 2 comparisons: 15.8 to 100.0 % with 95 % confidence" in said
    assert "001-a, 001-b: worse: none: total time +" in said
    assert "warning: total time: more false alarms than the rule allows" in said
    told = load_selftest(tmp_path / "out" / "latest")
    assert (told.rate("total_time_s").alarms, told.rate("wire_bytes").alarms) == (2, 0)
    assert {alarm.method for alarm in told.pairs[0].alarms} == {"none", "zlib-1"}


def test_what_was_interrupted_goes_on_and_may_become_longer(selftest, tmp_path, capsys):
    first = Lab(ends={2 * RUNS_OF_A_RESULT + 5: KeyboardInterrupt()})
    assert selftest(first, "--aa", "2") == 130
    stopped = capsys.readouterr()
    assert "0 false alarms in 1 comparison: " in stopped.out
    assert "--resume goes on" in stopped.err
    rest = Lab()
    assert selftest(rest, "--aa", "3", "--resume") == 0
    assert rest.made == 4 * RUNS_OF_A_RESULT - 4, "the four that had finished are not made again"
    assert len(load_selftest(tmp_path / "out" / "latest").pairs) == 3
    assert selftest(Lab(), "--aa", "1", "--resume") == 2
    assert "which is not asked for: ask for all that it was begun with" in capsys.readouterr().err


def test_a_run_that_fails_is_told_and_fails_the_whole(selftest, capsys):
    assert selftest(Lab(ends={3: PeerError("the link died")}), "--aa", "1") == 1
    assert "1 run did not complete, or brought wrong memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "repeats=5"], "repeats = 5, 2 methods: nothing could be found, so no alarm raised: --set repeats=6"),
        (
            ["--set", "sweep={'link.bandwidth'=['1Gbit/s', '2Gbit/s']}"],
            "mini.toml: is a sweep of 2 cells, and one is compared with itself: add --set",
        ),
        (
            ["--scenario", "convergence"],
            "convergence: is a search, whose runs are not alike: choose a scenario without",
        ),
        (["--aa", "0"], "'--aa': 0 is not in the range 1<=x<=999"),
    ],
    ids=["few", "sweep", "search", "none"],
)
def test_what_could_not_raise_an_alarm_is_refused_before_anything_runs(given, words, selftest, tmp_path, capsys):
    assert selftest(Lab(ends={1: AssertionError("it ran")}), *given) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("methods", [1, 2, 5])
def test_the_fewest_repeats_are_those_that_can_find_something(methods):
    needed = fewest_repeats(methods)
    for repeats, word in ((needed, "worse"), (needed - 1, "unclear")):
        same = tuple(1 + 0.001 * run for run in range(repeats))
        samples = {f"m{number}": (same, same) for number in range(methods - 1)}
        samples["slower"] = tuple(2 * value for value in same), same
        assert judge(METRICS["total_time_s"], samples)["slower"].word == word


@pytest.mark.parametrize(
    ("alarms", "of", "words"),
    [
        (0, 20, "0 false alarms in 20 comparisons: fewer than 13.9 % with 95 % confidence, where the rule allows 4 %."),
        (1, 100, "1 false alarm in 100 comparisons: 0.0 to 5.4 % with 95 % confidence, where the rule allows 4 %."),
    ],
)
def test_the_bound_is_the_exact_one(alarms, of, words):
    assert sentence(Rate(alarms, of, 0.04)) == words


def test_the_number_of_comparisons_that_would_show_it_is_the_least():
    rate = Rate(0, 20, 0.03)
    assert Rate(0, rate.needed, 0.03).interval[1] <= 0.03 < Rate(0, rate.needed - 1, 0.03).interval[1]
