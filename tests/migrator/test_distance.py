"""A link is kept full at every distance, and no more waits in it than at none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_pair import SimulatedPair

from harness.errors import PeerError
from harness.migrator.carry.flight import Budget, Flight
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.carry.round_trip import RoundTrip

MIB = 1 << 20
GUEST_BYTES = 330 * MIB


def waits_s(pair: SimulatedPair, *, after_s: float) -> list[float]:
    return sorted(seen.waited_s for seen in pair.seen if seen.now_s > after_s)


@pytest.mark.parametrize("round_trip_s", [0.0001, 0.002, 0.02, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("link_bytes_per_s", [12.5e6, 25e6])
def test_a_link_is_kept_full_at_every_distance(link_bytes_per_s, round_trip_s):
    pair = SimulatedPair(round_trip_s, link_bytes_per_s)
    took_s = pair.carry(GUEST_BYTES)
    assert took_s <= 1.1 * GUEST_BYTES / pair.ideal_bytes_per_s + 4 * round_trip_s + 0.2


@pytest.mark.parametrize("round_trip_s", [0.02, 0.05])
def test_a_fast_link_is_kept_full_too(round_trip_s):
    pair = SimulatedPair(round_trip_s, 125e6)
    assert pair.carry(4 * GUEST_BYTES) <= 4 * GUEST_BYTES / pair.ideal_bytes_per_s / 0.95


@pytest.mark.parametrize("round_trip_s", [0.0001, 0.05, 0.2])
@pytest.mark.parametrize("slow", ["link", "compress", "restore"])
def test_no_more_waits_than_what_may_whatever_is_the_slowest(round_trip_s, slow):
    rates = {"link_bytes_per_s": 125e6, "compress_bytes_per_s": 300e6, "restore_bytes_per_s": 600e6}
    rates[f"{slow}_bytes_per_s"] = 20e6
    pair = SimulatedPair(round_trip_s, **rates)
    took_s = pair.carry(GUEST_BYTES)
    found_s = waits_s(pair, after_s=took_s / 2)
    assert found_s[len(found_s) // 2] <= 0.045
    assert found_s[-1] <= 0.080


def test_a_rehearsed_link_is_full_from_the_first_round_trip():
    pair = SimulatedPair(0.2, expected_bytes_per_s=25e6 * 3.3)
    assert pair.carry(GUEST_BYTES) <= GUEST_BYTES / pair.ideal_bytes_per_s + 2 * 0.2


def test_a_route_that_became_longer_is_found_out_within_seconds():
    pair = SimulatedPair(0.02, later_round_trip=(2.0, 0.15))
    took_s = pair.carry(6 * GUEST_BYTES)
    assert pair.seen[-1].base_s == pytest.approx(0.15, abs=0.02)
    assert took_s <= 6 * GUEST_BYTES / pair.ideal_bytes_per_s + 4.0


def test_a_route_that_became_shorter_lets_less_wait_again():
    pair = SimulatedPair(0.15, later_round_trip=(2.0, 0.02))
    pair.carry(5 * GUEST_BYTES)
    assert pair.seen[-1].base_s == pytest.approx(0.02, abs=0.02)
    assert waits_s(pair, after_s=pair.seen[-1].now_s - 1)[-1] <= 0.080


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), max_size=80), st.floats(0, 1))
def test_the_round_trip_is_one_that_was_seen(steps, first_s):
    found, now_s = RoundTrip(first_s), 0.0
    for wait_s, took_s in steps:
        now_s += wait_s
        found.seen(now_s, took_s)
        assert found.base_s in [first_s, *(took for _, took in steps)]


def test_a_link_that_is_never_empty_is_emptied_for_a_moment_every_ten_seconds():
    found = RoundTrip(0.05)
    found.seen(0.0, 0.05)
    for step in range(1, 101):
        found.seen(step / 10, 0.09)
        assert found.wants_emptying == (step == 100)
    found.seen(10.1, 0.09)  # sent before the window was lowered
    assert found.wants_emptying
    found.seen(10.2, 0.055)
    assert not found.wants_emptying
    assert found.base_s == 0.055


@given(
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**9), st.floats(0, 2)), max_size=60),
    round_trip_s=st.floats(0, 3),
)
def test_the_window_never_leaves_its_bounds_over_a_distance(steps, round_trip_s):
    policy, now, total = FlightPolicy(1 << 20, 12, round_trip_s=round_trip_s), 0.0, 0
    for wait, count, took_s in steps:
        now, total = now + wait, total + count
        policy.delivered(now, total, took_s=took_s, round_trip_s=round_trip_s)
        assert 256 << 10 <= policy.window_bytes <= 256 * MIB
        assert 64 << 10 <= policy.batch_bytes <= MIB


def test_a_source_that_pauses_does_not_shrink_the_window():
    policy = FlightPolicy(MIB, 2, round_trip_s=0.1)
    for step in range(200):
        policy.delivered(step / 200, step * 400_000, took_s=0.135, round_trip_s=0.1)
    before = policy.window_bytes
    for step in range(200, 400):
        policy.delivered(step / 200, 80_000_000 + step, took_s=0.11, round_trip_s=0.1, full=False)
    assert policy.window_bytes == before


def flight(**settings: float) -> tuple[Flight, Budget]:
    round_trip_s = settings.get("round_trip_s", 0.0)
    budget = Budget(FlightPolicy(MIB, 2), round_trip_s)
    return Flight(budget), budget


@pytest.mark.parametrize(("round_trip_s", "calm"), [(0.0001, True), (0.004, True), (0.005, False), (0.04, False)])
def test_on_a_long_link_single_pages_do_not_make_batches_small(round_trip_s, calm):
    _, budget = flight(round_trip_s=round_trip_s)
    before_bytes = budget.batch_bytes
    budget.serve_pages()
    assert budget.calm == calm
    assert calm or budget.batch_bytes == before_bytes


@pytest.mark.parametrize(("channels", "waiting_s"), [(1, 0.3), (2, 0.035)])
def test_more_waits_in_the_first_pass_only_where_one_connection_tells_of_it(channels, waiting_s):
    policy = FlightPolicy(MIB, 2)
    for step in range(200):
        policy.delivered(step / 200, step * 200_000)
    budget = Budget(policy, 0.0)
    _flights = [Flight(budget) for _ in range(channels)]
    budget.first_pass_left(1 << 30)
    policy.delivered(1.0, 40_000_000)
    assert policy.window_bytes == round(40e6 * waiting_s)
    budget.first_pass_left(0)
    assert budget.window.limit_bytes == policy.window_bytes == round(40e6 * 0.035)


@pytest.mark.parametrize("confirmed", [-1, 0, 999, 1001, 3000, 1 << 63])
def test_a_confirmation_that_no_batch_ends_at_is_refused(confirmed):
    under_way, _ = flight()
    for _ in range(2):
        assert under_way.take(1000)
        under_way.handed()
    with pytest.raises(PeerError, match=f"acknowledged byte {confirmed}, where no batch"):
        under_way.arrived(confirmed, 0.0)
    assert under_way.in_flight_bytes == 2000


def test_a_batch_is_not_confirmed_before_it_was_sent():
    under_way, _ = flight()
    assert under_way.take(1000)
    with pytest.raises(PeerError):
        under_way.arrived(1000, 0.0)


def test_what_the_receiver_held_is_not_the_links():
    under_way, budget = flight(round_trip_s=9.0)
    assert under_way.take(1000)
    under_way.handed()
    began_s = time.monotonic()
    under_way.arrived(1000, held_s=3600.0)
    assert budget.round_trip_s <= time.monotonic() - began_s
    assert under_way.in_flight_bytes == 0
