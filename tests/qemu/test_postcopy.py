"""Post-copy through the pair: carried to its end, and taken up again by a new pair when a half died in it."""

import os
import shutil
import signal

import pytest
from live_guests import MIB, PATIENCE_S, QEMU, checked, two_guests, two_halves, wait_status

from harness.guests.native import MethodUnavailable
from harness.qemu.migration import listen

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]


@pytest.fixture
def guests(stack, run_dir):
    """With post-copy on; what is left when it begins goes over slowly, so that there is time to break it."""
    slow = {"max-bandwidth": 8 * MIB, "max-postcopy-bandwidth": MIB}
    try:
        return stack.enter_context(two_guests(run_dir, capabilities=("postcopy-ram",), source=slow))
    except MethodUnavailable as exc:
        pytest.skip(str(exc))


def open_pair(stack, run_dir, name):
    halves = stack.enter_context(two_halves(run_dir, name))
    halves.start()
    return halves


def begin_postcopy(guests, halves):
    listen(guests.destination, f"unix:{halves.destination}")
    guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
    wait_status(guests.source, "active")
    guests.source.qmp.execute("migrate-start-postcopy")
    guests.destination.qmp.wait_event(
        "RESUME", PATIENCE_S
    )  # a QEMU that loses its source before it runs is lost itself
    assert wait_status(guests.source, "postcopy-active", "completed", "failed") == "postcopy-active"


def hurry(guests):
    guests.source.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})


def finished(guests, halves):
    # Not "postcopy-paused": one that is taken up again is still called so for a moment.
    for side in (guests.source, guests.destination):
        assert wait_status(side, "completed", "failed") == "completed"
    sent, received = halves.sender.finish(), halves.receiver.finish()
    assert sent.stream_bytes == received.stream_bytes
    check = checked(guests)
    assert check.ok, check.line


def test_postcopy_is_carried_to_its_end(stack, run_dir, guests):
    halves = open_pair(stack, run_dir, "first")
    begin_postcopy(guests, halves)
    hurry(guests)
    finished(guests, halves)


@pytest.mark.parametrize("dies", ["sender", "receiver"])
def test_postcopy_whose_pair_died_is_recovered_through_a_new_one(stack, run_dir, guests, dies):
    first = open_pair(stack, run_dir, "first")
    begin_postcopy(guests, first)
    os.kill(getattr(first, dies).child.pid, signal.SIGKILL)
    for side in (guests.source, guests.destination):
        assert wait_status(side, "completed", "failed", "postcopy-paused") == "postcopy-paused"
    second = open_pair(stack, run_dir, "second")
    guests.destination.qmp.execute("migrate-recover", uri=f"unix:{second.destination}")
    hurry(guests)
    guests.source.qmp.execute("migrate", uri=f"unix:{second.source}", resume=True)
    finished(guests, second)
