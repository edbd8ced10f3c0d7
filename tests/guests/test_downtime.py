"""Silences and downtimes are arithmetic over moments."""

import time

import pytest

from harness.errors import QemuError
from harness.guests.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s

BEATS = [n / 100 for n in range(100)] + [1.25 + n / 100 for n in range(100)]


def test_downtime_is_from_stop_to_resume():
    assert stop_to_resume_s(100.5, 100.75) == 0.25


def test_a_resume_before_the_stop_is_refused_with_both_moments():
    with pytest.raises(QemuError, match=r"RESUME at 100\.000000 is 0\.500000 s before source STOP"):
        stop_to_resume_s(100.5, 100.0)


def test_what_two_hosts_clocks_cannot_tell_is_not_told():
    assert stop_to_resume_s(100.0, 100.001, 0.002) is None
    assert stop_to_resume_s(100.0, 99.999, 0.002) is None
    assert stop_to_resume_s(100.0, 100.003, 0.002) == pytest.approx(0.003)
    with pytest.raises(QemuError, match="before source STOP"):
        stop_to_resume_s(100.0, 99.9, 0.002)


def test_wall_clock_moments_become_monotonic_ones():
    before_s, found_s, after_s = time.monotonic(), wall_to_monotonic_s(time.time()), time.monotonic()
    assert before_s - 0.001 <= found_s <= after_s + 0.001


def test_the_longest_silence_spans_the_switch_over():
    assert longest_silence_s(BEATS, 0.505, 1.2, 10) == pytest.approx(0.26)


def test_a_longer_silence_before_the_migration_does_not_count():
    beats = [0.0, 5.0, 5.01, 5.02, *(5.1 + n / 100 for n in range(20))]
    assert longest_silence_s(beats, 5.015, 5.09, 10) == pytest.approx(0.08)


def test_silence_after_the_tenth_beat_does_not_count():
    beats = [*(n / 100 for n in range(61)), 9.0]
    assert longest_silence_s(beats, 0.105, 0.5, 10) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("beats", "begin_s", "resume_s"),
    [([], 0.0, 1.0), (BEATS, -1.0, 1.2), (BEATS[:105], 0.5, 1.2)],
    ids=["never heard", "not heard before", "too few after"],
)
def test_a_silence_whose_end_was_not_seen_is_unknown(beats, begin_s, resume_s):
    assert longest_silence_s(beats, begin_s, resume_s, 10) is None
