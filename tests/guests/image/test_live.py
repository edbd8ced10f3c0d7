"""A kernel of which nothing is known, here the stress guest's, in real QEMUs: migrated, compared, and what becomes of mistakes."""

import os
import shutil
from pathlib import Path

import pytest
from small_scenario import load_minimal

from harness.errors import QemuError, UserError
from harness.experiment import runner
from harness.experiment.plan import Turn
from harness.experiment.trial import Lab
from harness.guests.contract import Place, make_guest
from harness.guests.native import plan_method
from harness.guests.stress import StressConfig, command_line, kernel_path
from harness.hosts.local import HERE
from harness.hosts.rundir import open_scratch
from harness.qemu.ramblocks import ram_blocks
from harness.qemu.survey import survey

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
APPEND = command_line(StressConfig(memory_bytes=32 * MIB, working_set_bytes=MIB, dirty_rate_bytes_per_s=MIB))
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")]


def scenario(
    folder: Path, *, keys: str = "", append: str = APPEND, ready: str = 'serial = "ready "', arguments: str = ""
):
    return load_minimal(
        folder,
        tables=f"""
            [guest]
            kind = "image"
            kernel = "{kernel_path()}"
            append = "{append}"
            memory = "32MiB"
            arguments = ["-bios", "qboot.rom", {arguments}]
            {keys}
            [guest.ready]
            {ready}
        """,
    )


@pytest.mark.parametrize("verify", [True, False])
def test_a_foreign_guest_crosses_with_its_disk_which_stays_as_it_was(tmp_path, verify):
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed (qemu-utils)")
    disk = tmp_path / "disk.raw"
    disk.write_bytes(os.urandom(MIB))
    before = disk.read_bytes()
    made = scenario(tmp_path, keys=f'disk = "disk.raw"\nverify = {str(verify).lower()}')
    with Lab(made) as lab:
        runs = [runner.run_turn(lab, Turn(m, 1, 1, 1, made), tmp_path / "logs", lambda _: None) for m in made.methods]
    for run in runs:
        assert (run.status, run.heartbeat_gap_s) == ("completed", None), run.reason
        assert 0 < run.downtime_s <= run.total_time_s
        assert run.verified is (True if verify else None)
        assert any(line == f"compared {32 * MIB:,} bytes of pc.ram: equal" for line in run.verification) == verify
        assert bool(run.verification) == verify
    assert disk.read_bytes() == before


def boot_sector():
    """A disk whose first sector says "beat 1" with each tick of the BIOS's clock, 18 times a second, on the first serial line."""
    code = bytes.fromhex(
        "31c0 8ed8"  # again: xor ax, ax; mov ds, ax
        "be167c"  # mov si, text
        "ac 84c0 7406"  # next: lodsb; test al, al; jz rest
        "baf803 ee ebf5"  # mov dx, 0x3f8; out dx, al; jmp next
        "fb f4 ebea"  # rest: sti; hlt; jmp again
    )
    return (code + b"beat 1\r\n\0").ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB - 512)


def test_a_guest_that_boots_from_its_disk_alone_crosses(tmp_path):
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed (qemu-utils)")
    (tmp_path / "disk.raw").write_bytes(boot_sector())
    tables = """
        [guest]
        kind = "image"
        accel = "tcg"
        disk = "disk.raw"
        memory = "16MiB"
        [guest.ready]
        serial = "beat"
        [guest.progress]
        serial = "beat ([0-9])"
    """
    made = load_minimal(tmp_path, tables=tables)
    with Lab(made) as lab:
        run = runner.run_turn(lab, Turn(made.methods[0], 1, 1, 1, made), tmp_path / "logs", lambda _: None)
    assert (run.status, run.verified) == ("completed", True), run.reason
    assert run.downtime_s > 0
    assert run.heartbeat_gap_s > 0


def test_a_byte_changed_while_the_guest_is_held_is_found_and_it_goes_on_afterwards(tmp_path):
    made = scenario(tmp_path)
    guest = make_guest(made)
    guest.open()
    plan = plan_method(made.baseline, survey(QEMU), downtime_limit_s=0.3, return_path=True)
    with open_scratch() as folder, guest.start(plan, Place(folder, HERE, HERE)) as ends:
        ends.begin()
        crossing = ends.migrate(ends.listen("tcp:127.0.0.1:0"), 60, lambda _: None)
        (ram,) = [block for block in ram_blocks(ends.destination.qmp) if block.name == "pc.ram"]
        with Path(f"/proc/{ends.destination.pid}/mem").open("r+b", buffering=0) as memory:
            byte = os.pread(memory.fileno(), 1, ram.address + 20 * MIB)
            os.pwrite(memory.fileno(), bytes([byte[0] ^ 1]), ram.address + 20 * MIB)
        found = ends.examine(crossing)
        assert ends.destination.qmp.execute("query-status")["running"]
    assert found.verified is False
    assert f"of pc.ram: 1 pages differ, first at address {20 * MIB:#x}" in found.wrong
    assert ("run it again" in found.wrong) == (guest.accel.name == "tcg")


def test_a_guest_that_never_says_that_it_is_ready_is_told_with_its_last_words_before_any_run(tmp_path):
    with pytest.raises(
        QemuError,
        match=r"not ready within 4 s: nothing like 'login:' on its console; .* last lines: .*(?:ready pages|work writes)=",
    ):
        make_guest(scenario(tmp_path, ready='serial = "login:"\ntimeout = "4s"', keys='accel = "tcg"')).open()


def test_a_disk_that_both_sides_would_write_is_refused(tmp_path):
    (tmp_path / "mine.raw").write_bytes(bytes(MIB))
    with pytest.raises(
        UserError, match=r"guest\.arguments: /.*/mine\.raw: both sides would write this disk: name it as guest\.disk"
    ):
        make_guest(scenario(tmp_path, arguments=f'"-drive", "file={tmp_path}/mine.raw,format=raw"')).open()


def test_arguments_that_qemu_does_not_know_are_told_in_its_words(tmp_path):
    with pytest.raises(QemuError, match=r"QEMU ended: exit status 1: .*nonsense"):
        make_guest(scenario(tmp_path, arguments='"-device", "nonsense"')).open()
