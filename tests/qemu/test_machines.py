"""The table of machines in docs/compatibility.md: all are in it, and two lines are as the installed QEMU has them here."""

from __future__ import annotations

import shutil

import machines_page
import pytest
from live_guests import QEMU
from machines import MACHINES, tried
from qemu_builds import INSTALLED

SHOWN = ("q35, pc-dimm, postcopy-ram on", "pc, pc-dimm plugged while the guest ran")


def test_every_machine_was_tried_with_every_version():
    table = machines_page.said()
    versions = {version for _, version in table}
    assert len(versions) == 2
    assert list(table) == [
        (machine.name, version) for machine in MACHINES for version in sorted(versions, reverse=True)
    ]


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")
@pytest.mark.parametrize("shown", SHOWN)
def test_a_machine_is_understood_as_the_table_says(shown, run_dir):
    (machine,) = [machine for machine in MACHINES if machine.name == shown]
    assert tried(machine, INSTALLED, run_dir).words in {
        words for (name, _), words in machines_page.said().items() if name == shown
    }
