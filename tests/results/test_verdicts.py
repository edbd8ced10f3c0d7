"""The one rule of better and worse, and its words."""

from __future__ import annotations

import random

import pytest

from harness.errors import UserError
from harness.results.gate import parse_gate, share_of
from harness.results.metrics import METRICS
from harness.results.verdicts import judge, too_few

TOTAL, LOST = METRICS["total_time_s"], METRICS["work_lost_s"]


def sample(median: float, count: int = 10, cv: float = 0.02, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(median, cv * median) for _ in range(count)]


def judged(new, old, metric=TOTAL, **others):
    return judge(metric, {"a": (new, old)}, **others)["a"]


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (sample(1.1), sample(1.0, seed=2), "worse"),
        (sample(0.9), sample(1.0, seed=2), "better"),
        (sample(1.0, cv=0.001), sample(1.001, cv=0.001, seed=2), "same within 2 %"),
        (sample(1.0, cv=0.1), sample(1.0, cv=0.1, seed=2), "cannot tell, needs n = "),
        ([1.0] * 3, [4.0] * 3, "cannot tell, needs n = 5"),
        ([1.0], [4.0], "cannot tell, needs n = 5"),
        ([1.0] * 6, [1.0] * 6, "same within 2 %"),
        ([0.0] * 6, [1.0] * 6, "cannot tell"),
    ],
)
def test_words(new, old, words):
    found = judged(new, old)
    assert found.words.startswith(words)
    assert (found.needed is None) == ("needs" not in words)


@pytest.mark.parametrize(("runs", "words"), [(1, "One run decides nothing"), (4, "4 runs decide nothing"), (5, None)])
def test_of_too_few_runs_it_is_said_that_they_decide_nothing_and_how_many_do(runs, words):
    told = too_few([judged([1.0] * runs, [4.0] * runs)])
    assert told is None if words is None else told.startswith(words) and "repeats=5" in told
    assert too_few([judged([9.0], [1.0], LOST)]) is None


def test_a_run_that_measured_nothing_is_no_lack_of_runs():
    found = judged([0.0, *sample(1.0)], sample(1.0))
    assert (found.words, found.visible) == ("cannot tell", None)
    assert found.power_words == "a run measured nothing, and there is no ratio to that"


def test_a_small_but_sure_change_is_the_same():
    found = judged(sample(1.005, cv=0.0005), sample(1.0, cv=0.0005, seed=2))
    assert found.p_value < found.level
    assert found.word == "same"
    assert judged(sample(1.005, cv=0.0005), sample(1.0, cv=0.0005, seed=2), smallest=0.001).word == "worse"


def test_other_figures_have_no_verdict_and_no_ratio_to_nothing():
    assert judged([9.0] * 9, [1.0] * 9, LOST).words == "no verdict"
    assert judge(LOST, {"a": ([1.0], [0.0])}) == {}


def test_more_methods_ask_for_more():
    sides = {str(number): (sample(1.0, 6, seed=number), sample(1.0, 6, seed=-number)) for number in range(1, 5)}
    clear = ([1.0, 1.01, 1.02, 1.0, 1.01, 1.02], [2.0, 2.01, 2.02, 2.0, 2.01, 2.02])
    four, five = judge(TOTAL, {**dict(list(sides.items())[:3]), "x": clear}), judge(TOTAL, {**sides, "x": clear})
    assert (four["x"].word, five["x"].words) == ("better", "cannot tell, needs n = 7")
    assert four["x"].level == pytest.approx(0.01 / 4)


def test_the_printed_interval_holds_the_ratio_of_the_medians():
    new = [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    found = judged(new, sample(1.2, 9))
    assert found.interval[0] <= found.ratio <= found.interval[1]


def test_a_gate_breaks_on_what_is_worse_by_more_than_its_limit():
    worse = [("a", judged(sample(1.1), sample(1.0, seed=2)))]
    share = worse[0][1].ratio - 1
    assert parse_gate("worse").broken(worse) == [f"a: total time is worse by {share * 100:.2g} %"]
    assert parse_gate("worse:total_time:5%,downtime").broken(worse)
    assert parse_gate("worse:total_time:50%").broken(worse) == []
    assert parse_gate("worse:downtime").broken(worse) == []
    assert parse_gate("worse").broken([("a", judged(sample(0.9), sample(1.0, seed=2)))]) == []


def test_a_gate_that_could_never_fail_is_refused():
    few = [("a", judged([1.0] * 3, [4.0] * 3))]
    with pytest.raises(UserError, match=r"n = 3 nothing can be found worse.*repeats=5"):
        parse_gate("worse").check_can_fail(few)
    with pytest.raises(UserError, match="share no figure that it watches"):
        parse_gate("worse:downtime").check_can_fail(few)


@pytest.mark.parametrize(
    "text", ["", "better", "worse:", "worse:cpu", "worse:total_time:5", "worse:total_time:-1%", "worse:downtime:x%"]
)
def test_a_gate_says_how_it_is_written(text):
    with pytest.raises(UserError, match="--fail-on"):
        parse_gate(text)


def test_a_share_is_a_percentage():
    assert share_of("2.5 %", "here") == 0.025
