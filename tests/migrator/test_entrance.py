"""Who stands at the sender's door where no more files may be opened."""

from __future__ import annotations

import errno

import pytest
from migrator.test_start import guest, listening

from harness.errors import QemuError
from harness.migrator.entrance import Entrance
from harness.migrator.gate import Gate


class FullListener:
    """Of a process that may open no more files."""

    address = "unix:/run/full.sock"

    def __init__(self, socket):
        self.fileno = socket.fileno
        self.socket = self

    def accept(self):
        raise OSError(errno.EMFILE, "Too many open files")


def test_without_a_free_descriptor_a_second_connection_is_seen_and_none_is_made_up(tmp_path):
    with listening(tmp_path / "full.sock") as listener:
        alone = Entrance(FullListener(listener), print)
        alone.require_alone()
        with (
            guest(tmp_path / "full.sock"),
            pytest.raises(QemuError, match=r"cannot be let in: Too many .* `ulimit -n`"),
        ):
            alone.require_alone()


def test_a_gate_that_closes_without_a_free_descriptor_makes_nobody_up(tmp_path):
    with listening(tmp_path / "full.sock") as listener, Gate(FullListener(listener), 1) as gate:
        gate.close()
        gate.serve(pytest.fail)
        with (
            guest(tmp_path / "full.sock"),
            pytest.raises(QemuError, match=r"cannot be let in: Too many .* `ulimit -n`"),
        ):
            gate.serve(pytest.fail)
