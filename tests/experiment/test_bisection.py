"""The search for a frontier, against oracles that are steady and ones that are not."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.bisection import MOST_TRIES, Bisection

TOLERANCES = st.sampled_from([1.05, 1.1, 1.25, 2.0])
VOTES = st.sampled_from([1, 3, 5])


def searched(search: Bisection, works) -> Bisection:
    for _ in range(MOST_TRIES + 1):
        value = search.next_value()
        if value is None:
            return search
        search = search.after(value, worked=works(value))
    raise AssertionError("it does not end")


def upwards(tolerance=1.1, votes=3, low=10.0, high=1000.0, step=1.0):
    return Bisection(low, high, tolerance, votes, step)


@pytest.mark.parametrize(("easy", "hard"), [(10.0, 1000.0), (1000.0, 10.0)], ids=["highest", "lowest"])
@given(st.floats(10, 1000), TOLERANCES, VOTES)
def test_a_steady_frontier_is_between_the_ends_and_the_ends_are_close(easy, hard, frontier, tolerance, votes):
    toward = 1 if easy < hard else -1
    search = searched(Bisection(easy, hard, tolerance, votes, 1.0), lambda value: toward * value <= toward * frontier)
    works_at, fails_at = search.bracket()
    assert toward * works_at <= toward * frontier
    if fails_at is None:
        assert works_at == hard
    else:
        assert toward * frontier < toward * fails_at
        assert max(works_at / fails_at, fails_at / works_at) <= tolerance or abs(fails_at - works_at) <= 1


@given(st.floats(10, 1000), VOTES)
def test_the_working_end_has_all_its_votes_and_the_failing_end_a_majority(frontier, votes):
    search = searched(upwards(votes=votes), lambda value: value <= frontier)
    works_at, fails_at = search.bracket()
    assert search.count(works_at, worked=True) == votes
    if fails_at is not None:
        assert search.count(fails_at, worked=False) == votes // 2 + 1


@given(st.floats(10, 1000), st.integers(0, 1000), st.floats(0, 0.25))
def test_it_ends_whatever_it_is_told_and_never_shows_an_end_that_most_tries_contradict(frontier, seed, wrong):
    coin = random.Random(seed)
    search = searched(upwards(), lambda value: (value <= frontier) != (coin.random() < wrong))
    assert len(search.tried) <= MOST_TRIES
    works_at, fails_at = search.bracket()
    if works_at is not None:
        assert search.count(works_at, worked=True) > search.count(works_at, worked=False)
    if fails_at is not None:
        assert search.count(fails_at, worked=False) > search.count(fails_at, worked=True)
    if works_at is not None and fails_at is not None:
        assert works_at < fails_at


def test_a_frontier_that_is_a_slope_is_found_within_the_slope():
    """Between 100 and 200 it works ever more seldom."""
    found = []
    for seed in range(200):
        coin = random.Random(seed)
        search = searched(upwards(), lambda value, coin=coin: coin.random() > (value - 100) / 100)
        found.append(search.bracket())
    inside = [90 <= works_at <= 200 and 100 <= fails_at <= 210 for works_at, fails_at in found]
    assert sum(inside) >= 190


@pytest.mark.parametrize("unlucky", range(12))
def test_one_try_that_lies_moves_nothing_but_the_number_of_tries(unlucky):
    number = itertools.count()
    search = searched(upwards(), lambda value: (value <= 320) != (next(number) == unlucky))
    works_at, fails_at = search.bracket()
    assert works_at <= 320 < fails_at
    assert fails_at / works_at <= 1.1


@pytest.mark.parametrize(
    ("works", "tried", "bracket"),
    [(False, [(10, False)] * 2, (None, 10)), (True, [(10, True), *[(1000, True)] * 3], (1000, None))],
    ids=["nowhere: found out at the easy end", "everywhere: confirmed at the hard end"],
)
def test_what_works_nowhere_or_everywhere_ends_soon(works, tried, bracket):
    search = searched(upwards(), lambda value: works)
    assert search.tried == tuple(tried)
    assert search.bracket() == bracket


def test_values_are_multiples_of_the_step_and_never_closer():
    search = searched(Bisection(0.3, 0.001, 1.01, 1, 0.001), lambda value: value > 0.0035)
    assert all(value == pytest.approx(round(value * 1000) / 1000) for value, _ in search.tried)
    assert search.bracket() == (pytest.approx(0.004), pytest.approx(0.003))


@given(st.floats(10, 1000), TOLERANCES, VOTES)
def test_the_number_of_tries_left_is_a_fair_guess_at_every_moment(frontier, tolerance, votes):
    search, guesses = upwards(tolerance, votes), []
    while (value := search.next_value()) is not None:
        guesses.append(search.left())
        search = search.after(value, worked=value <= frontier)
    actual = range(len(guesses), 0, -1)
    assert all(guess >= 1 for guess in guesses)
    assert max(guess - left for guess, left in zip(guesses, actual, strict=True)) <= 8 + 2 * votes
    assert max(left - guess for guess, left in zip(guesses, actual, strict=True)) <= votes
    assert search.left() == 0
