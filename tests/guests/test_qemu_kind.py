"""What is told of a guest's writes."""

import pytest

from harness.guests.qemu_kind import Writes


def test_what_a_guest_wrote_is_over_the_time_in_which_it_ran():
    before, after = Writes(1000, 50.0), Writes(1000 + 25_600, 53.0)
    assert before.rate_bytes_per_s(after, stopped_s=1.0) == pytest.approx(50 << 20)
    assert before.rate_bytes_per_s(after, stopped_s=0.0) == pytest.approx((100 << 20) / 3)


def test_a_guest_that_did_not_run_has_no_rate():
    assert Writes(7, 50.0).rate_bytes_per_s(Writes(7, 51.0), stopped_s=1.0) is None
