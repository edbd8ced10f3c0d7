"""What may be said of numbers: exact values, agreement with scipy, and what holds of any sample."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.results.inference import (
    fewest_runs,
    holm_levels,
    median_interval,
    noise,
    p_value,
    ratio_interval,
    runs_to_see,
    visible_shift,
)

SAMPLES = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("count", "coverage"), [(1, 0.0), (3, 0.75), (5, 0.9375), (6, 0.96875), (8, 0.9921875), (9, 0.9609375)]
)
def test_a_medians_interval_tells_what_it_attains(count, coverage):
    assert median_interval(list(range(count))).coverage == pytest.approx(coverage)


@pytest.mark.parametrize("count", [6, 8, 9, 17, 30])
def test_a_medians_interval_agrees_with_scipy(count):
    values = [random.Random(count).gauss(1, 1) for _ in range(count)]
    found, theirs = median_interval(values), stats.quantile_test(values).confidence_interval(0.95)
    assert (found.low, found.high) == (theirs.low, theirs.high)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 7), (6, 6), (10, 10), (30, 25)])
def test_p_values_agree_with_scipy(sizes):
    draw = random.Random(sum(sizes))
    new, old = ([draw.gauss(mean, 1) for _ in range(size)] for mean, size in zip((9, 10), sizes, strict=True))
    assert p_value(new, old) == pytest.approx(stats.mannwhitneyu(new, old, method="exact").pvalue)


def test_a_large_sample_is_as_near_as_the_normal_distribution_is():
    draw = np.random.default_rng(5)
    new, old = draw.normal(1.0, 1, 150), draw.normal(1.3, 1, 150)
    assert p_value(new, old) == pytest.approx(stats.mannwhitneyu(new, old, method="asymptotic").pvalue, rel=1e-3)


def test_ties_count_against_a_difference():
    assert p_value([1.0] * 6, [1.0] * 6) == 1.0
    assert p_value([1.0, 2, 3, 4, 5, 6], [6.0, 7, 8, 9, 10, 11]) == p_value(
        [1.0, 2, 3, 4, 5, 7], [6.0, 8, 9, 10, 11, 12]
    )


@given(SAMPLES, SAMPLES, st.sampled_from([0.002, 0.01, 0.05, 0.2]))
def test_an_interval_leaves_out_one_just_where_the_test_finds_a_difference(new, old, level):
    interval = ratio_interval(new, old, level)
    left_out = interval is not None and not interval[0] <= 1 <= interval[1]
    assert left_out == (p_value(new, old) <= level)


@given(SAMPLES, SAMPLES)
def test_turning_the_sides_turns_the_interval(new, old):
    forth, back = ratio_interval(new, old, 0.05), ratio_interval(old, new, 0.05)
    assert (forth is None) == (back is None)
    if forth is not None and back is not None:
        assert forth == pytest.approx((1 / back[1], 1 / back[0]))


def test_a_ratio_needs_values_above_zero_and_runs_enough():
    assert ratio_interval([0.0] * 8, [1.0] * 8, 0.05) is None
    assert ratio_interval([1.0] * 3, [2.0] * 3, 0.05) is None
    assert ratio_interval([1.0] * 4, [2.0] * 4, 0.05) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("p_values", "levels"),
    [
        ([0.5, 0.4, 0.3], [0.01 / 3] * 3),
        ([0.5, 0.001, 0.3], [0.005, 0.01 / 3, 0.005]),
        ([0.009, 0.001, 0.004], [0.01, 0.01 / 3, 0.005]),
        ([0.009, 0.004, 0.009], [0.01 / 3] * 3),  # the first fails, so do all
        ([0.001, 0.001, 0.008], [0.01 / 3, 0.01 / 3, 0.01]),  # equal ones alike
        ([], []),
    ],
)
def test_holms_levels(p_values, levels):
    assert holm_levels(p_values, 0.01) == pytest.approx(levels)


def test_the_fewest_runs_are_those_whose_clean_split_is_rare_enough():
    assert [fewest_runs(0.01 / methods) for methods in (1, 2, 4, 5, 17, 18)] == [5, 6, 6, 7, 7, 8]


def test_noise_is_the_share_by_which_values_vary():
    draw = random.Random(2)
    new, old = ([draw.gauss(mean, 0.03 * mean) for _ in range(400)] for mean in (5, 80))
    assert noise(new, old) == pytest.approx(0.03, abs=0.003)
    assert noise([1.0], [2.0]) is None


def test_as_many_runs_as_a_change_needs_can_see_it():
    needed = runs_to_see(0.05, 0.04, 0.01)
    seen, before = (visible_shift(0.04, runs, runs, 0.01) or math.inf for runs in (needed, needed - 1))
    assert seen <= 0.05 < before
    assert visible_shift(0.04, 3, 3, 0.01) is None
