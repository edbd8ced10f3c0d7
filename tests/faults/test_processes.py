"""A process of a live migration is killed, at a moment that is held for it: one guest runs, and is whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harness.faults.live.rig import HostRig, LinkRig, ProcessRig
from harness.faults.live.scene import PHASES
from harness.faults.live.strikes import STRIKES
from harness.faults.runner import plan_cells

pytestmark = pytest.mark.qemu


@pytest.fixture
def rig():
    if (lack := ProcessRig.missing()) is not None:
        pytest.skip(lack)
    with tempfile.TemporaryDirectory(prefix="pf-") as folder:
        yield ProcessRig(Path(folder))


def test_where_the_sender_is_killed_one_guest_runs_and_can_be_migrated_again(rig):
    (cell,) = plan_cells(1, ["processes/sender-killed@confirmed"]).cells
    found = rig.run(cell)
    assert found.applied
    assert (found.runs, found.memory, found.again, found.wrong) == ("source", True, True, ())


def test_each_party_meets_each_fault_at_each_phase_at_which_it_is_there():
    pairs = {pair for rig in (ProcessRig, LinkRig, HostRig) for pair in rig.pairs()}
    assert {fault for fault, _ in pairs} == set(STRIKES)
    assert {phase for _, phase in pairs} == set(PHASES)
    assert ("sender-killed", "completed") not in pairs
    assert ("destination-killed", "completed") in pairs
    assert [phase for fault, phase in pairs if fault == "link-lossy"] == ["ready"]
