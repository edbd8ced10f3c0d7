"""What a link does to bytes in time, with a clock made of numbers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.links.shaping import Delay, DelayLine, TokenBucket, line_bytes


def test_bucket_keeps_the_rate_over_many_reservations():
    bucket, now_s = TokenBucket(1000.0, burst_s=0.0), 0.0
    for _ in range(50):
        now_s = bucket.reserve(10, now_s)
    assert now_s == pytest.approx(0.5)


def test_bucket_makes_up_for_late_wake_ups_but_not_for_idle_time():
    bucket = TokenBucket(1000.0, burst_s=0.004)
    bucket.reserve(10, 1.0)
    assert bucket.reserve(10, 1.012) == pytest.approx(1.018)  # 2 ms late: made up
    assert bucket.reserve(10, 9.0) == pytest.approx(9.006)  # 8 s idle: 4 ms of credit, no more


def test_unlimited_bucket_never_waits():
    assert TokenBucket(None).reserve(1 << 40, 3.0) == 3.0


def test_delay_lies_between_the_delay_and_the_jitter_more_and_is_the_same_in_each_run():
    one, other = Delay(0.05, 0.01, seed=1), Delay(0.05, 0.01, seed=1)
    arrivals = [one.arrival(1.0) for _ in range(100)]
    assert arrivals == [other.arrival(1.0) for _ in range(100)]
    assert min(arrivals) >= 1.05
    assert max(arrivals) <= 1.06
    assert len(set(arrivals)) > 90


def test_a_line_holds_what_is_under_way_at_the_links_rate():
    assert 12_500_000 < line_bytes(125_000_000, 0.1) < 12_500_000 * 1.2
    assert line_bytes(None, 0.1) == 256 << 20


@settings(deadline=None)
@given(
    data=st.binary(min_size=1, max_size=2000),
    steps=st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.integers(1, 300)), min_size=1),
    capacity=st.integers(1, 400),
)
def test_a_line_gives_every_byte_in_order_none_too_early_and_holds_no_more_than_it_may(data, steps, capacity):
    line, now_s, given_bytes, out, due = DelayLine(capacity, 100, 128), 0.0, 0, b"", []
    turn = 0
    while len(out) < len(data):
        offered, waited_s, delay_s, wanted = steps[turn % len(steps)]
        turn += 1
        room = line.room()
        piece = data[given_bytes : given_bytes + min(offered, len(room))]
        room[: len(piece)] = piece
        if piece:
            line.put(len(piece), now_s + delay_s)
            given_bytes += len(piece)
            due += [line.last_due_s] * len(piece)
        assert line.held_bytes == given_bytes - len(out) <= capacity
        now_s += waited_s + 0.01
        arrived = bytes(line.arrived(now_s)[:wanted])
        line.took(len(arrived))
        assert all(at_s <= now_s for at_s in due[len(out) : len(out) + len(arrived)])
        out += arrived
    assert out == data


def test_bytes_that_wait_for_a_destination_keep_no_record_each():
    line = DelayLine(1 << 20, 4096)
    for turn in range(10_000):
        line.room()[0] = 1
        line.put(1, due_s=turn)
        line.arrived(turn)
    assert not line._due
    assert line.held_bytes == 10_000
