"""What QEMU says of itself becomes a run's counters, in base units; what it does not say, or cannot know, is none."""

from dataclasses import replace

import pytest

from harness.guests.figures import Seen, counters, faults, request_times
from harness.qemu.migration import MigrationOutcome
from harness.qemu.page_requests import PageRequests
from harness.qemu.progress import MigrationStatus

RAM = {"normal": 7, "duplicate": 5, "postcopy-requests": 93, "postcopy-bytes": 4096}
LAST = MigrationStatus(9.0, "completed", total_time_s=8.5, raw={"ram": RAM})
OUTCOME = MigrationOutcome("completed", LAST, 100.0, 50.0, 0.0, 8.0, 104.0, 104.5, switched_at_s=103.5)


def test_the_most_that_a_guest_was_slowed_down_is_kept_of_all_looks():
    seen = Seen()
    for throttle, held_us in ((20, 500), (99, 2500), (40, 0)):
        raw = {"cpu-throttle-percentage": throttle, "dirty-limit-throttle-time-per-round": held_us}
        seen.look(MigrationStatus(1.0, "active", raw=raw))
    seen.look(MigrationStatus(2.0, "completed"))
    pages = {"qemu_total_time_s": 8.5, "qemu_normal_pages": 7, "qemu_duplicate_pages": 5}
    slowed = {"qemu_throttle_share": 0.99, "qemu_dirty_limit_throttle_s": 0.0025}
    assert counters(OUTCOME, seen) == pytest.approx(pages | slowed)
    assert counters(OUTCOME, Seen()) == pages


def test_post_copy_is_told_from_when_it_began_until_all_was_there():
    told = {"postcopy-blocktime": 12, "postcopy-vcpu-blocktime": [30, 45], "postcopy-latency": 150_000}
    assert faults(OUTCOME, told) == pytest.approx({
        "qemu_switch_s": 3.5,
        "qemu_postcopy_s": 3.5,
        "qemu_postcopy_requests": 93,
        "qemu_postcopy_bytes": 4096,
        "qemu_postcopy_blocked_s": 0.012,
        "qemu_postcopy_vcpu_blocked_s": 0.045,
        "qemu_postcopy_latency_s": 0.00015,
    })  # fmt: skip


def test_a_wait_that_qemu_could_not_see_is_no_wait_of_zero():
    found = faults(OUTCOME, {"postcopy-blocktime": 0, "postcopy-vcpu-blocktime": [0]})
    assert set(found) == {"qemu_switch_s", "qemu_postcopy_s", "qemu_postcopy_requests", "qemu_postcopy_bytes"}


def test_without_post_copy_there_are_no_page_faults_to_tell_of():
    assert faults(replace(OUTCOME, switched_at_s=None), {"postcopy-blocktime": 12}) == {}


@pytest.mark.parametrize("p99_s", [None, 0.0047])
def test_how_long_pages_were_waited_for_is_told_as_far_as_it_is_known(p99_s):
    found = request_times(PageRequests(200, 0.001, p99_s, 0.009))
    known = {"answered": found["qemu_page_requests_answered"], "p99_s": found.get("qemu_page_request_p99_s")}
    assert known == {"answered": 200, "p99_s": p99_s}
    assert (found["qemu_page_request_p50_s"], found["qemu_page_request_longest_s"]) == (0.001, 0.009)
    assert request_times(None) == {}
