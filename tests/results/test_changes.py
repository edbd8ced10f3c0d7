"""What of a history is a change, and what is not. Seeds are fixed; tests/benchmarks/history.py has how often each is right."""

from __future__ import annotations

import numpy as np
import pytest

from harness.results.changes import LEAST_NIGHTS, changes


def nights(count: int, seed: int, cv: float = 0.01) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, cv, count))


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_regression_of_5_percent_is_found_in_its_third_night(seed):
    figures = nights(30, seed)
    figures[27:] *= 1.05
    (found,) = changes(figures)
    assert abs(found.at - 27) <= 1
    assert found.shift == pytest.approx(0.05, abs=0.025)
    assert found.p_value < 1e-3


def test_nights_alike_have_no_change():
    assert [changes(nights(end, seed)) for seed in range(10) for end in (8, 20, 60)] == [()] * 30


def test_what_went_up_and_down_again_are_two_changes():
    figures = nights(40, 3)
    figures[15:25] *= 0.9
    assert [(each.at, each.shift > 0) for each in changes(figures)] == [(15, False), (25, True)]


@pytest.mark.parametrize("at", [0, 10, 19], ids=["first", "amid", "last"])
def test_one_odd_night_is_no_level(at):
    figures = nights(20, 4)
    figures[at] *= 3
    assert changes(figures) == ()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("odd", [(0, 1), (0, 2), (12, 13), (12, 14), (27, 28), (27, 29), (28, 29)])
def test_two_odd_nights_near_each_other_are_no_level(odd, seed):
    figures = nights(30, seed)
    figures[list(odd)] *= 1.1
    assert [changes(figures[:end]) for end in range(max(odd) + 1, 31)] == [()] * (30 - max(odd))


@pytest.mark.parametrize("odd", [27, 28, 29])
def test_an_odd_night_does_not_hide_a_regression_for_long(odd):
    figures = nights(32, 6)
    figures[27:] *= 1.05
    figures[odd] *= 1.1
    assert [each.at for each in changes(figures)] == [27]


def test_a_shift_that_does_not_matter_is_no_change_however_sure():
    figures = nights(40, 5, cv=0.0005)
    figures[20:] *= 1.01
    assert changes(figures) == ()
    assert [each.at for each in changes(figures, least_shift=0.005)] == [20]


def test_figures_that_never_differ_change_where_they_do():
    assert changes([100.0] * 20) == ()
    assert [each.at for each in changes([100.0] * 10 + [110.0] * 10)] == [10]


def test_too_few_or_not_positive_say_nothing():
    assert changes([1.0] * 3 + [2.0] * (LEAST_NIGHTS - 4)) == ()
    assert changes([0.0] * 10 + [5.0] * 10) == ()
