"""The pair steers a real QEMU to the shortest downtime, and gives it its own values back."""

from __future__ import annotations

import shutil

import pytest
from live_guests import MIB, QEMU, checked, two_guests, two_halves, wait_status

from harness.guests.stress import StressConfig
from harness.migrator.steering.switchover import Knob
from harness.qemu.migration import listen
from harness.results.doubts import NoPassShorter

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]

RESTLESS = StressConfig(memory_bytes=32 * MIB, working_set_bytes=4 * MIB, dirty_rate_bytes_per_s=32 * MIB)
"""It writes all of its working set again while QEMU sends an eighth of it."""


def parameters(qemu):
    """Of those that steering may turn."""
    told = qemu.qmp.execute("query-migrate-parameters")
    return {knob.value: told[knob.value] for knob in Knob if knob.value in told}


def steered(stack, run_dir, **guest):
    """The sender's report of a migration that came to its end, and QEMU's own values before and after it."""
    guests = stack.enter_context(two_guests(run_dir, steered=True, **guest))
    before = parameters(guests.source)
    halves = stack.enter_context(two_halves(run_dir, "pair", guests.qmp))
    halves.start()
    listen(guests.destination, f"unix:{halves.destination}")
    guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
    for side in (guests.source, guests.destination):
        assert wait_status(side, "completed", "failed") == "completed"
    sent = halves.sender.finish()
    halves.receiver.finish()
    check = checked(guests)
    assert check.ok, check.line
    return sent.steering, before, parameters(guests.source)


def test_the_parameter_that_this_qemu_has_is_set_and_given_back(stack, run_dir):
    """The switch-over bandwidth where there is one (8.2 on), else the limit."""
    steering, before, after = steered(stack, run_dir)
    knob = Knob.BANDWIDTH if Knob.BANDWIDTH.value in before else Knob.LIMIT
    assert {decision.parameter for decision in steering.decisions} == {knob.value}
    assert steering.parameter == knob.value
    assert steering.ended_early is None
    assert after == before


def test_a_guest_that_writes_faster_than_it_is_carried_is_stopped_and_the_result_says_why(stack, run_dir):
    steering, before, after = steered(
        stack, run_dir, source={"max-bandwidth": 4 * MIB}, config=RESTLESS, fill={"zero": 1.0}
    )
    assert steering.decisions[-1].why == "no_pass_shorter"
    assert [type(doubt) for doubt in steering.doubts()] == [NoPassShorter]
    assert after == before
