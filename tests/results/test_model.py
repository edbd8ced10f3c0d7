"""What a method delivers never exceeds either limit, grows with the link, and crosses none's curve where it stops paying."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.results.model import ALWAYS, NEVER, Cost, Guest, Link, break_even, migration

RATES = st.floats(1e6, 5e10)
RATIOS = st.floats(0.9, 50)
BANDWIDTHS = st.floats(1e5, 1e11)
BUSY = st.floats(0, 5e-8)
COSTS = st.builds(Cost, RATIOS, RATES)
NONE = Cost(0.956, 1e9)


@given(COSTS, BANDWIDTHS, BUSY)
def test_neither_the_link_nor_the_pair_is_exceeded(cost, bandwidth, busy):
    delivered = cost.delivered_bytes_per_s(Link(bandwidth, busy))
    assert 0 < delivered <= min(cost.pair_bytes_per_s, cost.ratio * bandwidth) * (1 + 1e-9)


@given(COSTS, st.one_of(st.none(), st.floats(0.9, 50)), BANDWIDTHS, st.floats(1.001, 100), BUSY)
def test_a_faster_link_delivers_no_less(cost, slow_ratio, bandwidth, times, busy):
    assume(slow_ratio is None or slow_ratio <= cost.ratio)
    cost = Cost(cost.ratio, cost.pair_bytes_per_s, slow_ratio, 1e6)
    link = Link(bandwidth, busy)
    assert cost.delivered_bytes_per_s(link.at(bandwidth * times)) >= cost.delivered_bytes_per_s(link) * (1 - 1e-9)


@given(COSTS)
def test_far_from_the_knee_the_lesser_limit_is_all_there_is(cost):
    knee = cost.pair_bytes_per_s / cost.ratio
    assert cost.delivered_bytes_per_s(Link(knee / 50)) == pytest.approx(cost.ratio * knee / 50, rel=1e-3)
    assert cost.delivered_bytes_per_s(Link(knee * 50)) == pytest.approx(cost.pair_bytes_per_s, rel=1e-3)
    assert cost.delivered_bytes_per_s(Link(None)) == cost.pair_bytes_per_s


@given(COSTS, BANDWIDTHS, BUSY)
def test_total_time_goes_with_the_stream(cost, bandwidth, busy):
    link = Link(bandwidth, busy)
    assert cost.total_time_s(2e9, link) == pytest.approx(2 * cost.total_time_s(1e9, link))


@given(COSTS, BANDWIDTHS, st.floats(1e-10, 5e-8))
def test_what_packets_take_from_the_cores_slows_the_pair_only(cost, bandwidth, busy):
    idle, busy_link = Link(bandwidth), Link(bandwidth, busy)
    assert cost.delivered_bytes_per_s(busy_link) <= cost.delivered_bytes_per_s(idle)
    slow = Link(cost.pair_bytes_per_s / cost.ratio / 1e4, 1e-12)
    assert cost.delivered_bytes_per_s(slow) == pytest.approx(cost.ratio * slow.bandwidth_bytes_per_s, rel=1e-3)


@given(st.floats(1e6, 1e9), st.floats(1.1, 50), BUSY)
def test_break_even_is_where_the_curves_cross(rate, ratio, busy):
    assume(rate < NONE.pair_bytes_per_s * 0.99)
    method, link = Cost(ratio, rate), Link(1e8, busy)
    bound = break_even(method, NONE, link)
    assert NEVER < bound < ALWAYS

    def times(bandwidth):
        at = link.at(bandwidth)
        return NONE.delivered_bytes_per_s(at) / method.delivered_bytes_per_s(at)

    assert times(bound) == pytest.approx(1, rel=1e-6)
    assert times(bound / 2) < 1 < times(bound * 2)


def test_break_even_of_a_sharp_knee_is_near_the_pairs_rate():
    # N / min(P, r*B) of both, with B far above P / r: P = r0 * B.
    assert break_even(Cost(20, 1e8), Cost(1, 1e10)) == pytest.approx(1e8, rel=1e-3)


@given(COSTS)
def test_what_does_not_shrink_never_pays_and_what_costs_nothing_always_does(cost):
    assert break_even(Cost(NONE.ratio, cost.pair_bytes_per_s), NONE) == NEVER
    assert break_even(Cost(NONE.ratio * 1.5, NONE.pair_bytes_per_s), NONE) == ALWAYS


def test_the_ratio_goes_from_small_batches_to_whole_ones():
    cost = Cost(3.3, 400e6, 2.9, 10e6)
    assert cost.ratio_at(1e3) == cost.ratio_at(10e6 / 2.9) == pytest.approx(2.9)
    assert cost.ratio_at(1e9) == pytest.approx(3.3)
    assert 2.9 < cost.ratio_at(30e6) < 3.3
    assert Cost(3.3, 400e6).ratio_at(1e3) == 3.3
    assert Cost(3.3, 5e6, 2.9, 10e6).ratio_at(1e3) == 3.3  # slower than the rate at which batches grow


def test_a_faster_link_takes_no_more_of_the_cores():
    link = Link(1e7, 2e-8)
    assert link.at(1e6).busy_s_per_byte == 2e-8
    assert link.at(1e8).busy_s_per_byte == pytest.approx(2e-9)
    assert Link(None, 0.0).at(1e8) == Link(1e8, 0.0)


GUESTS = st.builds(Guest, st.floats(1e6, 1e11), st.floats(0, 1e10), st.floats(0, 1e10))


@given(COSTS, BANDWIDTHS, GUESTS, st.floats(0.01, 10))
def test_a_migration_converges_iff_more_is_delivered_than_dirtied_or_the_rest_fits(cost, bandwidth, guest, limit):
    link = Link(bandwidth)
    rate = cost.delivered_bytes_per_s(link)
    first, dirty = guest.first_pass_bytes, guest.dirty_bytes_per_s
    assume(not 0.97 < dirty / rate < 1.0)  # it would, after more passes than anybody waits for
    found = migration(cost, guest, link, limit)
    fits = min(guest.working_set_bytes, dirty * first / rate) <= limit * rate
    if dirty < rate or fits:
        assert found.converges
        assert found.left_bytes <= limit * rate * (1 + 1e-9)
        assert first / rate <= found.total_time_s * (1 + 1e-9)
    else:
        assert (found.converges, found.total_time_s) == (False, math.inf)


def test_an_idle_guest_takes_one_pass():
    found = migration(Cost(1, 1e9), Guest(1e9), Link(1e8), 0.3)
    assert (found.passes, found.converges) == (1, True)
    assert found.total_time_s == pytest.approx(10, rel=1e-3)


def test_passes_are_those_of_a_steadily_dirtied_working_set():
    found = migration(Cost(1, 1e12), Guest(1e9, 1e9, 2e7), Link(1e8), 0.3)  # 10 s, 2 s, then 0.4 s, then 0.08 s
    assert found.passes == 4
    assert found.total_time_s == pytest.approx(12.48, rel=1e-3)
