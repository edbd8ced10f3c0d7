"""What is known of candidates, from what was seen of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.migrator.choose.auto import Candidate
from harness.migrator.choose.estimates import Estimates

MB = 1 << 20
CANDIDATES = (
    Candidate("none", None, 8e9, 8e9, 1.0),
    Candidate("lz4", 0, 640e6, 2250e6, 2.5),
    Candidate("zstd", 1, 490e6, 1400e6, 3.15),
    Candidate("zstd-long", 1, 300e6, 950e6, 4.8, history=True),
)
NONE, LZ4, ZSTD, LONG = range(4)


def estimates() -> Estimates:
    return Estimates(CANDIDATES, 2, 2)


def test_priors_hold_until_something_is_seen():
    known = estimates()
    assert [known.ratio(number) for number in range(4)] == pytest.approx([1.0, 2.5, 3.15, 4.8])
    assert known.compress_bytes_per_s(ZSTD) == pytest.approx(490e6)


def test_what_one_codec_needs_scales_the_priors_of_others():
    known = estimates()
    for _ in range(64):
        known.compressed(LZ4, MB, MB / 320e6)
    assert known.compress_bytes_per_s(LZ4) == pytest.approx(320e6, rel=0.03)
    assert known.compress_bytes_per_s(ZSTD) == pytest.approx(245e6, rel=0.03)


def test_of_memory_that_does_not_shrink_no_ratio_is_hoped_for():
    known = estimates()
    for _ in range(64):
        known.packed(LZ4, MB, MB)
    assert all(known.ratio(number) < 1.06 for number in (NONE, LZ4, ZSTD, LONG))


@given(st.floats(0.01, 1.2))
def test_a_ratio_is_never_below_one_nor_beyond_reason(share):
    known = estimates()
    for _ in range(50):
        known.packed(ZSTD, MB, int(MB * share))
    assert all(1.0 <= known.ratio(number) < 2000 for number in range(4))


def test_candidates_are_compared_on_the_same_memory():
    known = estimates()
    for number in range(60):
        size = 0.2 if number % 2 else 0.8
        known.packed(LZ4, MB, int(MB * size))
        known.compared(ZSTD, int(MB * size * 0.5), LZ4, int(MB * size), MB)
    assert known.ratio(ZSTD) == pytest.approx(2 * known.ratio(LZ4), rel=0.1)


def test_the_slowness_comes_from_what_was_delivered():
    known = estimates()
    for _ in range(30):
        known.delivered(LZ4, 200e6, 0.05, link_was_free=True)
    assert known.could_work_bytes_per_s(LZ4) == pytest.approx(200e6, rel=0.02)
    assert known.could_work_bytes_per_s(ZSTD) < 200e6


def test_a_limited_link_says_only_what_the_rest_can_do_at_least():
    known = estimates()
    before = known.could_work_bytes_per_s(ZSTD)
    known.delivered(ZSTD, 50e6, 0.05, link_was_free=False)
    assert known.could_work_bytes_per_s(ZSTD) == before
    for _ in range(10):
        known.delivered(ZSTD, 600e6, 0.05, link_was_free=False)
    assert known.could_work_bytes_per_s(ZSTD) == pytest.approx(600e6, rel=0.02)


def test_a_host_that_is_no_longer_busy_is_seen_with_another_candidate():
    known = estimates()
    for _ in range(30):
        known.delivered(ZSTD, 50e6, 0.05, link_was_free=True)
    for _ in range(30):
        known.delivered(LZ4, 450e6, 0.05, link_was_free=True)
    assert known.could_work_bytes_per_s(ZSTD) > 280e6


def test_a_machine_that_stood_still_for_a_moment_is_not_slow():
    known = estimates()
    for _ in range(5):
        known.delivered(ZSTD, 400e6, 0.05, link_was_free=True)
    before = known.could_work_bytes_per_s(ZSTD)
    known.delivered(ZSTD, 10e6, 0.3, link_was_free=True)
    known.delivered(ZSTD, 400e6, 0.05, link_was_free=True)
    assert known.could_work_bytes_per_s(ZSTD) == pytest.approx(before, rel=0.02)


def seconds_until_hope(known: Estimates) -> float:
    """Of a busy host, while none fills a link that hides it."""
    for _ in range(10):
        known.delivered(ZSTD, 50e6, 0.05, link_was_free=True)
    for step in range(1000):
        if known.could_work_bytes_per_s(ZSTD) > 150e6:
            return step * 0.05
        known.delivered(NONE, 60e6, 0.05, link_was_free=False)
    raise AssertionError("never")


def test_a_slowness_that_is_not_seen_is_forgotten_and_longer_after_each_vain_hope():
    known = estimates()
    first_s, second_s, third_s = (seconds_until_hope(known) for _ in range(3))
    assert 0.2 < first_s < 2
    assert 1.5 * first_s < second_s
    assert 1.5 * second_s < third_s


def test_a_slower_core_is_slower_with_all_that_is_around_codecs():
    slow = Estimates(CANDIDATES, 2, 2, speed=0.5, peer_speed=0.5)
    for number in range(4):
        assert slow.could_work_bytes_per_s(number) == pytest.approx(estimates().could_work_bytes_per_s(number) / 2)


def test_hosts_of_their_own_wait_for_the_slower_one_and_neighbours_for_both():
    apart, fast, slow = (Estimates(CANDIDATES, 2, 2, peer_speed=speed, apart=True) for speed in (1.0, 50.0, 0.2))
    for number in (NONE, LZ4, ZSTD):
        alone = estimates().could_work_bytes_per_s(number)
        assert alone < apart.could_work_bytes_per_s(number) <= 2.001 * alone
        assert fast.could_work_bytes_per_s(number) == pytest.approx(apart.could_work_bytes_per_s(number), rel=0.01)
        assert slow.could_work_bytes_per_s(number) < alone


def test_a_history_is_restored_by_one_thread_whatever_else_there_is():
    alone, many = Estimates(CANDIDATES, 1, 1), Estimates(CANDIDATES, 64, 64)
    for number in (NONE, LZ4, ZSTD, LONG):
        many.delivered(number, 1e12, 0.05, link_was_free=True)
    assert many.could_work_bytes_per_s(LONG) == pytest.approx(950e6)
    assert alone.could_work_bytes_per_s(LONG) < 950e6
    assert many.could_work_bytes_per_s(ZSTD) > 2 * 950e6


def test_what_one_history_saves_is_believed_of_another():
    """It left one that saved nothing for another one, whose prior nothing had touched."""
    known = Estimates((*CANDIDATES, Candidate("zstd-long", 3, 120e6, 950e6, 5.0, history=True)), 2, 2)
    known.known[LONG].raw_bytes = MB
    for _ in range(400):
        known.compared(LONG, MB // 3, LZ4, int(MB / 2.5), MB)
    assert known.ratio(LONG) == pytest.approx(3.0, rel=0.05)
    assert known.ratio(4) < 3.3
