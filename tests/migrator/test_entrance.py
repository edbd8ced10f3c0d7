"""Where no more files may be opened: who stands at the sender's door, and what the receiver says that cannot reach its QEMU."""

from __future__ import annotations

import errno

import pytest
from migrator.test_start import guest, listening

from harness.errors import MissingError, QemuError
from harness.migrator.destination import Destination
from harness.migrator.entrance import Entrance
from harness.migrator.gate import Gate
from harness.migrator.starter import Starter
from harness.migrator.transport.registry import endpoint_for_qemu


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


@pytest.mark.parametrize("qmp", [None, "unix:/run/qmp"], ids=["QEMU", "its QMP"])
def test_a_receiver_that_may_open_no_more_files_waits_for_no_qemu(monkeypatch, qmp):
    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    endpoint, said = endpoint_for_qemu("unix:/run/dst", "--to"), []
    monkeypatch.setattr(type(endpoint), "reach", full)
    destination = Destination(endpoint, 3600.0, said.append, prepare=Starter(qmp).hold)
    with pytest.raises(
        MissingError, match=rf"{qmp or 'unix:/run/dst'}: no more open files are allowed here; .*ulimit -n"
    ):
        destination.connect()
    assert said == []
