"""The pair steers a real QEMU to the shortest downtime, and gives it its own values back."""

from __future__ import annotations

import shutil

import pytest
from cut_qmp import CutQmp
from live_guests import MIB, QEMU, UNLIMITED, checked, two_guests, two_halves, wait_status, wait_words

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
    halves = started(stack, run_dir, guests, guests.qmp)
    return ended(guests, halves), before, parameters(guests.source)


def started(stack, run_dir, guests, qmp):
    """The halves, with a migration under way through them."""
    halves = stack.enter_context(two_halves(run_dir, "pair", qmp))
    halves.start()
    listen(guests.destination, f"unix:{halves.destination}")
    guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
    return halves


def ended(guests, halves):
    """The sender's report of its steering, once the guest has arrived as it was."""
    for side in (guests.source, guests.destination):
        assert wait_status(side, "completed", "failed") == "completed"
    sent = halves.sender.finish()
    halves.receiver.finish()
    check = checked(guests)
    assert check.ok, check.line
    return sent.steering


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


@pytest.mark.parametrize("again", [True, False], ids=["that comes again", "that stays away"])
def test_qmp_that_is_lost_ends_the_steering_and_not_the_migration(stack, run_dir, again):
    """Its own limit does not end this migration, nor does that of steering: it goes on until the test lets it have the link."""
    slow = {"max-bandwidth": 4 * MIB}
    guests = stack.enter_context(two_guests(run_dir, steered=True, source=slow, config=RESTLESS, fill={"zero": 1.0}))
    before = parameters(guests.source)
    between = stack.enter_context(CutQmp(run_dir / "between", guests.qmp, b'"status": "active"', again=again))
    halves = started(stack, run_dir, guests, between.path)
    wait_words(halves.sender, "warning: the migration goes on and is steered no more: ")
    if again:
        wait_words(halves.sender, "the source QEMU answers again, and has its own values back")
    else:
        assert parameters(guests.source) == before | {"downtime-limit": 10}
        guests.source.qmp.execute("migrate-set-parameters", **{"downtime-limit": 300})  # as the line says
    assert parameters(guests.source) == before
    assert guests.source.qmp.execute("query-migrate")["status"] == "active"
    guests.source.qmp.execute("migrate-set-parameters", **{"max-bandwidth": UNLIMITED})
    steering = ended(guests, halves)
    assert (steering.steer_failures, steering.restored) == (1, again)
    (doubt,) = steering.doubts()
    assert "steering ended before the migration did: --qmp unix:" in doubt.sentence
    standing = "downtime-limit was set to 10, its owner's value is 300"
    assert doubt.sentence.endswith("QEMU has its own values back" if again else standing)
    told_again = f"the source QEMU did not get its own value back: {standing}" in halves.sender.log.read_text()
    assert told_again is not again
