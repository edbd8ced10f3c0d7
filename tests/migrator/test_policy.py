"""The window follows the rate that the destination takes, within bounds, and batches follow the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.carry.policy import FlightPolicy


def fed(rate_bytes_per_s: float, seconds: float = 1.0, **settings: int) -> FlightPolicy:
    policy = FlightPolicy(256 << 10, 2, **settings)
    for step in range(int(seconds * 200)):
        policy.delivered(step / 200, round(rate_bytes_per_s * step / 200))
    return policy


def test_the_window_is_35_ms_of_the_delivered_rate() -> None:
    assert fed(400e6).window_bytes == round(400e6 * 0.035)


def test_a_slow_link_gets_small_batches_and_a_small_window() -> None:
    policy = fed(3e6)
    assert policy.window_bytes == 256 << 10
    assert policy.batch_bytes == 64 << 10


def test_a_fast_link_gets_whole_batches() -> None:
    assert fed(1e9).batch_bytes == 256 << 10


def test_a_fixed_window_stays() -> None:
    policy = fed(3e6, fixed_window_bytes=5 << 20)
    assert policy.window_bytes == 5 << 20


def test_a_tenfold_drop_is_followed_within_half_a_second() -> None:
    policy, total = FlightPolicy(256 << 10, 2), 0
    for step in range(400):
        total += round((500e6 if step < 300 else 50e6) / 200)
        policy.delivered(step / 200, total)
    assert policy.window_bytes == round(50e6 * 0.035)


def test_in_the_first_pass_300_ms_may_wait_and_at_most_an_eighth_of_what_is_left() -> None:
    policy = fed(40e6)
    near = policy.window_bytes
    policy.first_pass_left(1 << 30)
    policy.delivered(1.0, round(40e6))
    assert policy.window_bytes == pytest.approx(40e6 * 0.3, rel=0.01)
    policy.first_pass_left(40 << 20)
    assert policy.window_bytes == 5 << 20
    policy.first_pass_left(4 << 20)
    assert policy.window_bytes == near
    assert fed_ahead(40e6, 80 << 20).window_bytes == 10 << 20
    assert fed_ahead(800e6, 1 << 40).window_bytes == 32 << 20


def test_calm_and_a_fixed_window_wait_for_nothing_ahead() -> None:
    policy = fed_ahead(40e6, 1 << 30)
    policy.calm = True
    policy.first_pass_left((1 << 30) - 1)
    assert policy.window_bytes == round(40e6 * 0.035)
    fixed = fed(40e6, fixed_window_bytes=5 << 20)
    fixed.first_pass_left(1 << 30)
    fixed.first_pass_left(0)
    assert fixed.window_bytes == 5 << 20


def fed_ahead(rate_bytes_per_s: float, left_bytes: int) -> FlightPolicy:
    policy = fed(rate_bytes_per_s)
    policy.first_pass_left(left_bytes)
    policy.delivered(1.0, round(rate_bytes_per_s))
    return policy


@given(steps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**9), st.integers(0, 1 << 40)), max_size=60))
def test_the_window_never_leaves_its_bounds(steps: list[tuple[float, int, int]]) -> None:
    policy, now, total = FlightPolicy(1 << 20, 12), 0.0, 0
    for wait, count, left in steps:
        now, total = now + wait, total + count
        policy.first_pass_left(left)
        policy.delivered(now, total)
        assert 256 << 10 <= policy.window_bytes <= 32 << 20
        assert 64 << 10 <= policy.batch_bytes <= 1 << 20
