"""Post-copy by QEMU itself: the guest goes on at the destination after so many passes, and comes over whole."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from live_guests import MIB, PATIENCE_S, UNLIMITED, two_guests

from harness.guests.native import MethodUnavailable
from harness.results.doubts import NeverSwitched

QEMU = "qemu-system-x86_64"
pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]


@pytest.fixture
def migrated():
    """``migrated(bandwidth, after)``: what both ends tell of a migration that switches after so many passes."""
    with ExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pageferry-")))

        def migrate(bandwidth, after):
            source = {"max-bandwidth": bandwidth, "max-postcopy-bandwidth": MIB}
            opened = two_guests(run_dir, capabilities=("postcopy-ram",), source=source, switch_after_passes=after)
            try:
                guests = stack.enter_context(opened)
            except MethodUnavailable as exc:
                pytest.skip(str(exc))

            def let_go_once_asked(_) -> None:
                if guests.source.qmp.execute("query-migrate").get("ram", {}).get("postcopy-requests"):
                    guests.source.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})

            return guests.examine(guests.migrate(guests.listen("tcp:127.0.0.1:0"), PATIENCE_S, let_go_once_asked))

        yield migrate


def test_a_guest_runs_on_before_its_memory_is_there(migrated):
    told = migrated(MIB, 0)  # the first pass alone would take most of a minute
    assert told.verified, told.verification
    assert told.counters["qemu_postcopy_bytes"] > 16 * MIB
    assert 0 < told.downtime_s < told.total_time_s - told.counters["qemu_switch_s"]
    assert 0 < told.counters["qemu_postcopy_s"] < told.total_time_s
    assert told.counters["qemu_postcopy_requests"] > 0
    assert told.counters["qemu_page_requests_answered"] > 0
    assert (
        0 < told.counters["qemu_page_request_p50_s"] <= told.counters["qemu_page_request_longest_s"] < told.total_time_s
    )
    assert not any(isinstance(doubt, NeverSwitched) for doubt in told.doubts)


def test_a_migration_that_ends_before_it_would_switch_says_so(migrated):
    told = migrated(UNLIMITED, 100)
    assert told.verified, told.verification
    assert NeverSwitched(100) in told.doubts
    assert not {"qemu_postcopy_s", "qemu_page_request_p50_s"} & set(told.counters)
