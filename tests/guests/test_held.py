"""Every RAM block of two QEMUs is compared by name. This process stands in for both: its arrays are their memory."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import QemuError
from harness.guests.held import compare_held
from harness.hosts.local import HERE
from harness.qemu.ramblocks import RamBlock, RamView, ram_blocks

SIZES = {"pc.ram": 17 << 20, "0000:00:02.0/vga.vram": 1 << 16, "/rom@etc/acpi/tables": 1 << 13}
HEADING = "              Block Name    PSize              Offset               Used              Total"
# As QEMU 7.2 says it: where a block is must be asked for an address at which the guest sees a part of it.
SEEN = """
FlatView #1
 AS "memory", root: system
  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM
  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem
  00000000000c0000-00000000000c3fff (prio 0, rom): pc.ram @00000000000c0000
  00000000fd000000-00000000fd00ffff (prio 1, ram): vga.vram
  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic
"""
RAM = ["pc.ram"]


class Side:
    """A QEMU as far as its memory is asked for. ``tells``: whether it says where each block is, as from 8.1 on."""

    def __init__(self, name, seed=1, *, tells=True, sizes=SIZES, hides=()):
        rng = np.random.default_rng(seed)
        self.memory = {block: rng.integers(0, 256, size, dtype=np.uint8) for block, size in sizes.items()}
        self.name, self.pid, self.qmp, self.tells, self.hides = name, os.getpid(), self, tells, hides
        self.host = HERE

    def at(self, block):
        return self.memory[block].ctypes.data

    def execute(self, command, /, **arguments):
        assert command == "human-monitor-command"
        line = arguments["command-line"]
        if line == "info ramblock":
            return "\r\n".join([HEADING, *(self._row(name, len(data)) for name, data in self.memory.items())])
        if line == "info mtree -f":
            return SEEN
        address = int(line.removeprefix("gpa2hva "), 16)
        name, host = (
            ("pc.ram", self.at("pc.ram") + address)
            if address < 1 << 20
            else ("vga.vram", self.at("0000:00:02.0/vga.vram"))
        )
        return f"Host virtual address for {line.split()[1]} ({name}) is {host:#x}\r\n"

    def _row(self, name, size):
        where = f" {self.at(name):#018x} rw" if self.tells else ""
        return f"{name:>24}    4 KiB  {0:#018x} {size:#018x} {2 * size:#018x}{where}"


def test_every_block_is_compared_and_told_by_its_name():
    found = compare_held(Side("source"), Side("destination"), RAM)
    assert all(check.ok for check in found)
    assert [check.line for check in found] == [
        f"compared {size:,} bytes of {name}: equal" for name, size in SIZES.items()
    ]


@pytest.mark.parametrize("block", SIZES)
@pytest.mark.parametrize("at", [0, -1])
def test_one_wrong_byte_is_found_wherever_it_is(block, at):
    source, destination = Side("source"), Side("destination")
    destination.memory[block][at] ^= 1
    wrong = [check for check in compare_held(source, destination, RAM) if not check.ok]
    place = at % SIZES[block]
    assert len(wrong) == 1
    assert f"of {block}: 1 pages differ, first at address {place:#x}: source" in wrong[0].line


def test_an_older_qemu_is_asked_where_the_guest_sees_its_memory_and_the_rest_is_named():
    source, destination = (Side(name, tells=False) for name in ("source", "destination"))
    found = compare_held(source, destination, RAM)
    assert [check.ok for check in found] == [True, True, True]
    assert found[-1].line.endswith("/rom@etc/acpi/tables")
    destination.memory["pc.ram"][-5] ^= 0x80
    assert [check.ok for check in compare_held(source, destination, RAM)] == [False, True, True]


def test_a_qemu_that_does_not_say_where_the_guests_ram_is_proves_nothing():
    source, destination = Side("source"), Side("destination")
    with pytest.raises(QemuError, match="source: QEMU does not say where ram-node1 is; write verify = false"):
        compare_held(source, destination, [*RAM, "ram-node1"])


def test_another_set_of_blocks_is_a_difference():
    (found,) = compare_held(Side("source"), Side("destination", sizes=SIZES | {"pc.ram": 4096}), RAM)
    assert not found.ok
    assert "'pc.ram': 17825792" in found.line
    assert "'pc.ram': 4096" in found.line


def test_a_qemu_that_lists_nothing_is_an_error():
    with pytest.raises(QemuError, match="source: QEMU does not list its RAM blocks"):
        ram_blocks(SimpleNamespace(name="source", execute=lambda *_, **__: HEADING))


def test_memory_that_cannot_be_read_is_an_error_that_names_the_remedy():
    with pytest.raises(QemuError, match=r"pc\.ram cannot be read: .*; allow us to trace our own children"):
        RamView(SimpleNamespace(name="source", pid=os.getpid(), host=HERE), RamBlock("pc.ram", 4096, 4096)).read(
            0, 4096
        )
