"""QEMU's migrations of several connections through the pair: multifd, with its own compression too, and postcopy-preempt."""

from __future__ import annotations

import shutil

import pytest
from live_guests import MIB, QEMU, checked, two_guests, two_halves, wait_status

from harness.guests.native import MethodUnavailable
from harness.qemu.migration import listen

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]


def migrated(stack, run_dir, guests):
    """By QEMU's own word on both sides, and the destination's guest's; the sender's report."""
    halves = stack.enter_context(two_halves(run_dir, "pair"))
    halves.start()
    listen(guests.destination, f"unix:{halves.destination}")
    guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
    yield halves
    for side in (guests.source, guests.destination):
        assert wait_status(side, "completed", "failed") == "completed"
    sent, received = halves.sender.finish(), halves.receiver.finish()
    assert sent.stream_bytes == received.stream_bytes
    assert sent.batches_digest == received.batches_digest
    check = checked(guests)
    assert check.ok, check.line
    yield sent


@pytest.mark.parametrize(("channels", "compression"), [(2, "none"), (4, "zstd")])
def test_multifd_is_carried_channel_by_channel(stack, run_dir, channels, compression):
    both = {"multifd-channels": channels, "multifd-compression": compression}
    guests = stack.enter_context(two_guests(run_dir, capabilities=("multifd",), source=both, destination=both))
    _, sent = migrated(stack, run_dir, guests)
    assert [channel.kind for channel in sent.channels] == ["main", *["multifd"] * channels]
    assert min(channel.stream_bytes for channel in sent.channels) > 0
    packed = None if compression == "none" else compression
    for channel in sent.channels[1:]:
        assert channel.opaque_reason is None
        assert channel.packed_by in (packed, None)  # a channel that had none to send
    pages = [channel.raw_pages + channel.other_pages for channel in sent.channels[1:]]
    assert sum(pages) * 4096 > 32 * MIB
    assert [doubt.kind for doubt in sent.doubts()] == ([] if packed is None else ["packed_by_qemu"])


def test_postcopy_preempt_is_carried_to_its_end(stack, run_dir):
    slow = {"max-bandwidth": 8 * MIB, "max-postcopy-bandwidth": MIB}
    try:
        guests = stack.enter_context(
            two_guests(run_dir, capabilities=("postcopy-ram", "postcopy-preempt"), source=slow)
        )
    except MethodUnavailable as exc:
        pytest.skip(str(exc))
    steps = migrated(stack, run_dir, guests)
    next(steps)
    wait_status(guests.source, "active")
    guests.source.qmp.execute("migrate-start-postcopy")
    guests.destination.qmp.wait_event("RESUME", 60)
    guests.source.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    assert [channel.kind for channel in next(steps).channels] == ["main", "other"]
