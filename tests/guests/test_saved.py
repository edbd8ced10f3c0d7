"""A guest's state goes into a file and comes out of it again, in real QEMUs without a guest; what is no state is refused."""

import shutil

import pytest

from harness.errors import QemuError
from harness.guests.saved import load, save, state_bytes
from harness.hosts.rundir import open_scratch
from harness.qemu.process import QemuProcess

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
ARGV = [QEMU, "-machine", "pc,accel=tcg", "-m", "16", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")]


def test_memory_is_as_it_was_and_what_is_no_state_is_refused_in_its_words(tmp_path):
    file, again = tmp_path / "state", tmp_path / "again"
    with open_scratch() as folder:
        with QemuProcess("first", ARGV, run_dir=folder) as first:
            save(first, file)
        assert 0 < file.stat().st_size <= state_bytes(16 * MIB)
        with QemuProcess("second", [*ARGV, "-incoming", "defer"], run_dir=folder) as second:
            load(second, file)
            assert second.qmp.execute("query-status")["running"] is False
            save(second, again)
        assert again.stat().st_size == file.stat().st_size
        file.write_bytes(b"no state at all")
        with (
            QemuProcess("third", [*ARGV, "-incoming", "defer"], run_dir=folder) as third,
            pytest.raises(QemuError, match=r"third: .*load of migration failed"),
        ):
            load(third, file)
