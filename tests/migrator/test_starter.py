"""With the destination QEMU's QMP, its guest is let run once, behind the source's word, and never before."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from fake_qmp import FakeQmp
from pairs import Pair

from harness.errors import QemuError, UserError
from harness.faults.frame_rig import FrameRig
from harness.faults.runner import plan_cells
from harness.faults.stream import make_stream
from harness.migrator import receiver as receiver_module
from harness.migrator.carry import doubt, forwarder
from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.starter import Starter


@pytest.fixture
def qmp(tmp_path):
    with FakeQmp(tmp_path / "qmp", {}) as fake:
        fake.state = "inmigrate"
        yield fake


@pytest.fixture
def starter(qmp):
    made = Starter(f"unix:{qmp.path}")
    yield made
    made.close()


def told(qmp) -> list[str]:
    return [command for command in qmp.asked if command in ("stop", "cont")]


def test_a_qemu_is_told_to_hold_its_guest_and_then_once_to_run_it(qmp, starter):
    for _ in range(2):
        starter.hold()
    assert (told(qmp), starter.started) == (["stop"], False)
    for _ in range(2):
        starter.start()
    assert (told(qmp), starter.started) == (["stop", "cont"], True)


def test_a_qemu_that_waits_for_no_migration_is_left_alone(qmp, starter):
    qmp.state = "running"
    with pytest.raises(
        QemuError, match=r"waits for no migration .its state is 'running'.; give the socket of the destination"
    ):
        starter.hold()
    assert told(qmp) == []


def test_a_guest_that_may_have_to_run_before_the_end_is_refused_and_left_alone(qmp, starter):
    qmp.capabilities.add("postcopy-ram")
    with pytest.raises(
        QemuError, match=r"--qmp .*: postcopy-ram is on .*; start `pageferry receive` without --qmp, or turn it off"
    ):
        starter.hold()
    assert told(qmp) == []
    qmp.capabilities = {"return-path"}
    starter.close()
    with closing(Starter(f"unix:{qmp.path}")) as another:
        another.hold()
    assert told(qmp) == ["stop"]


def test_a_qemu_that_has_ended_never_runs_it_and_one_that_refuses_may_yet(qmp, starter):
    starter.hold()
    qmp.refuses = "cont"
    with pytest.raises(QemuError, match=r"cont is not for you.*say `cont` there"):
        starter.start()
    assert (starter.started, starter.failed) == (False, False)
    qmp.die()
    with pytest.raises(QemuError, match="if it has ended, at the source QEMU, which has all of it too"):
        starter.start()
    assert (starter.started, starter.failed) == (False, True)


def test_an_address_at_which_anybody_could_command_is_refused():
    with pytest.raises(UserError, match=r"--qmp tcp:127\.0\.0\.1:1: write unix:PATH"):
        run_receiver(ReceiveConfig("tcp:127.0.0.1:0", "unix:/nowhere", qmp="tcp:127.0.0.1:1"))


@pytest.fixture
def rig(qmp):
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        made = FrameRig(Path(folder))
        made.qmp = f"unix:{qmp.path}"
        yield made


@pytest.mark.parametrize("phase", ["confirmation", "end"])
def test_where_the_link_breaks_the_receiver_hears_that_the_source_gave_the_guest_up(rig, qmp, phase):
    (cell,) = plan_cells(1, [f"frames/cut-before@{phase}"]).cells
    found = rig.run(cell)
    assert (found.applied, found.runs, found.sender, found.again) == (True, "destination", "done", True)
    assert told(qmp) == ["stop", "cont"] * 2  # also of the second migration, which shows that the guest is whole


def test_where_the_link_breaks_while_the_receiver_ends_the_sender_knows_or_says_where_to_look(rig, qmp):
    """END may have been there before the break: a receiver whose DONE the kernel took has let the guest run, and has ended."""
    (cell,) = plan_cells(1, ["frames/cut-before@return-end"]).cells
    found = rig.run(cell)
    assert (found.applied, found.runs, found.wrong, found.again) == (True, "destination", (), True)
    assert found.sender == "done" or "see whether it runs at the destination; if not, say `cont`" in found.sender
    assert told(qmp) == ["stop", "cont"] * 2


def test_who_did_not_hear_that_all_is_done_says_where_to_look(rig, qmp, monkeypatch):
    monkeypatch.setattr(forwarder, "_HEARD_END_S", 0.5)
    (cell,) = plan_cells(1, ["frames/cut-for-good@done"]).cells  # a receiver that is about to end might still be asked
    found = rig.run(cell)
    assert "see whether it runs at the destination; if not, say `cont` to the QEMU there" in found.sender
    assert (found.runs, found.wrong, told(qmp)) == ("destination", (), ["stop", "cont"] * 2)


def test_a_source_that_was_not_told_goes_on_by_itself_for_the_guest_cannot_run_there(rig, qmp, monkeypatch):
    monkeypatch.setattr(doubt, "_FREE_S", 0.5)
    (cell,) = plan_cells(1, ["frames/cut-for-good@device-state"]).cells
    found = rig.run(cell)
    assert "the source's guest goes on; the destination QEMU may have all of it, and does not run it" in found.sender
    assert (found.runs, told(qmp)) == ("source", ["stop", "stop", "cont"])


@pytest.mark.parametrize("share", [1, 0.5], ids=["all of the stream", "its beginning"])
def test_where_qemu_got_no_byte_and_the_sender_was_told_nobody_is_waited_for(tmp_path, qmp, monkeypatch, share):
    monkeypatch.setattr(receiver_module, "_PARTING_S", 60.0)
    qmp.capabilities.add("postcopy-ram")
    stream = make_stream(1).data
    settings = {"threads": 1, "qmp": f"unix:{qmp.path}", "linger_s": 300.0}
    with Pair(tmp_path, receive=settings, without_return_path=False) as pair:
        pair.source.sendall(stream[: int(share * len(stream))])
        pair.receiver.join()
        pair.destination_listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            pair.destination_listener.accept()
    assert [line for line in pair.receiver.said if "staying" in line] == []
    assert "postcopy-ram is on" in str(pair.receiver.error)
    assert "the receiver stopped: --qmp" in str(pair.sender.error)
