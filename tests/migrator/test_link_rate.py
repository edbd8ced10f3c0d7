"""B is what the link carried while it was the limit, and nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.choose.link_rate import LinkRate

STEP_S = 0.02


def feed(
    link: LinkRate,
    rate: float,
    *,
    seconds: float = 1.0,
    backlog: int = 1 << 20,
    waits: float = 0.9,
    start=(0.0, 0, 0.0),
):
    now_s, arrived, waited_s = start
    for _ in range(round(seconds / STEP_S)):
        now_s, arrived, waited_s = now_s + STEP_S, arrived + round(rate * STEP_S), waited_s + waits * STEP_S
        link.look(now_s, arrived, backlog, waited_s)
    return now_s, arrived, waited_s


@given(st.floats(1e5, 1e10))
def test_a_link_at_its_limit_is_known(rate):
    link = LinkRate()
    feed(link, rate)
    assert link.bytes_per_s == pytest.approx(rate, rel=0.01)
    assert link.could_carry_bytes_per_s == link.bytes_per_s


@given(st.floats(1e5, 1e9), st.booleans())
def test_a_slow_source_or_receiver_is_not_taken_for_the_link(rate, source):
    link = LinkRate()
    feed(link, rate, backlog=0 if source else 1 << 20, waits=0.95 if source else 0.0)
    assert link.bytes_per_s is None
    assert link.could_carry_bytes_per_s == math.inf


def test_nothing_known_is_no_limit():
    assert LinkRate().could_carry_bytes_per_s == math.inf


@pytest.mark.parametrize("factor", [0.1, 10])
def test_it_follows_a_step(factor):
    link = LinkRate()
    at = feed(link, 1e8)
    feed(link, 1e8 * factor, seconds=0.5, start=at)
    assert link.bytes_per_s == pytest.approx(1e8 * factor, rel=0.02)


def test_an_idle_source_does_not_lower_it():
    link = LinkRate()
    at = feed(link, 1e8)
    feed(link, 1e6, backlog=0, seconds=2, start=at)
    assert link.bytes_per_s == pytest.approx(1e8, rel=0.02)


def test_what_was_carried_without_being_the_limit_shows_that_it_has_grown():
    link = LinkRate()
    at = feed(link, 1e8)
    at = feed(link, 3e8, backlog=0, waits=0.1, seconds=0.15, start=at)
    assert 3e8 <= link.bytes_per_s <= 9e8
    at = feed(link, 3e8, backlog=0, waits=0.1, seconds=5, start=at)
    assert link.bytes_per_s == pytest.approx(16 * 3e8, rel=0.1)
    feed(link, 6e8, seconds=0.3, start=at)
    assert link.bytes_per_s == pytest.approx(6e8, rel=0.02)


@pytest.mark.parametrize("stall_s", [0.05, 0.1, 0.3])
def test_a_machine_that_stands_still_for_a_moment_is_no_slow_link(stall_s):
    """Nothing arrives meanwhile, and then what waited in buffers at once."""
    link = LinkRate()
    now_s, arrived, waited_s = feed(link, 1e8)
    for _ in range(3):
        at = now_s + stall_s, arrived, waited_s + stall_s
        link.look(at[0], at[1], 1 << 20, at[2])
        link.look(at[0] + 0.04, at[1] + 8_000_000, 1 << 20, at[2] + 0.02)
        now_s, arrived, waited_s = feed(link, 1e8, seconds=0.2, start=(at[0] + 0.04, at[1] + 8_000_000, at[2] + 0.02))
        assert link.bytes_per_s == pytest.approx(1e8, rel=0.02)


def test_a_receiver_that_waits_for_a_slow_sender_shows_no_slower_link():
    """Of a batch that is on its way at each look something waits, though the link is idle between them now and then."""
    link = LinkRate()
    at = feed(link, 1e8)
    for _ in range(40):
        at = feed(link, 6e7, seconds=0.06, start=at)
        at = feed(link, 6e7, seconds=0.06, backlog=0, start=at)
    assert link.bytes_per_s == pytest.approx(1e8, rel=0.02)


def test_a_little_more_than_the_limit_is_no_growth():
    link = LinkRate()
    at = feed(link, 1e8)
    feed(link, 1.05e8, backlog=0, waits=0.1, seconds=5, start=at)
    assert link.bytes_per_s == pytest.approx(1e8, rel=0.02)


def test_a_link_that_carried_more_at_first_is_known_after_two_stretches():
    link = LinkRate()
    link.expect(1.56e7)
    feed(link, 1.2e7, seconds=0.14)
    assert link.bytes_per_s == pytest.approx(1.2e7, rel=0.02)


def test_what_another_measurement_says_holds_until_the_link_is_the_limit():
    link = LinkRate()
    link.expect(5e8)
    at = feed(link, 1e7, backlog=0)
    assert link.bytes_per_s == 5e8
    feed(link, 1e8, start=at)
    assert link.bytes_per_s == pytest.approx(1e8, rel=0.02)
