"""What is told of a foreign guest that does not get ready."""

import re
import time
from types import SimpleNamespace

import pytest
from small_scenario import load_minimal

from harness.errors import QemuError
from harness.guests.console import GuestFailure
from harness.guests.contract import make_guest
from harness.guests.image.console import Line, SerialConsole

TABLES = '[guest]\nkind = "image"\nkernel = "k"\n[guest.ready]\nserial = "login:"\n'


@pytest.fixture
def guest(tmp_path):
    (tmp_path / "k").write_bytes(b"\x7fELF")
    return make_guest(load_minimal(tmp_path, tables=TABLES))


def waited(guest, said, status=None, ended=None):
    """What is told of a guest that is waited for, and whose QEMU answers with ``status`` or has ended."""

    def execute(_):
        if ended is not None:
            raise QemuError("source: query-status: the connection is closed")
        return {"running": status == "running", "status": status}

    qemu = SimpleNamespace(qmp=SimpleNamespace(execute=execute), ended=lambda **_: ended)
    consoles = SimpleNamespace(said=lambda _: said, heard=lambda *_, **__: None)
    with pytest.raises(QemuError) as caught:
        guest.wait_ready(SimpleNamespace(qemus={"source": qemu}, consoles=consoles), time.monotonic(), 0.0)
    return str(caught.value)


LINES = [Line("a"), Line("b"), Line("c\x1b"), Line("d")]


def test_what_keeps_a_guest_from_getting_ready_is_told_in_a_line(guest):
    last = "; its console's last lines: b | c\\x1b | d"
    assert (
        waited(guest, LINES, "running")
        == f"source: the guest is not ready within 0 s: nothing like 'login:' on its console{last}"
    )
    assert waited(guest, LINES, "io-error") == f"source: QEMU stopped the guest by itself: io-error{last}"
    assert waited(guest, [], ended="QEMU ended: exit status 0") == (
        "source: QEMU ended: exit status 0: the guest shut down or started anew, perhaps for want of memory: write more as "
        "guest.memory; "
        "its serial console said nothing"
    )
    panic = GuestFailure("Kernel panic - not syncing: VFS")
    assert waited(guest, [panic], "running") == "source: the guest does not run: Kernel panic - not syncing: VFS"


def test_a_guest_that_says_only_how_its_work_grows_is_quoted_and_so_is_a_prompt(guest):
    counting = SerialConsole(re.compile("login:"), re.compile(r"beat (\d)")).feed(b"beat 1\nbeat 2\ngrub> ")
    assert waited(guest, counting, "running").endswith("; its console's last lines: beat 1 | beat 2 | grub>")


def test_a_guest_that_never_counts_as_the_scenario_says_is_told_with_the_pattern_and_its_last_lines(tmp_path):
    def few(*_, **__):
        raise QemuError("source: the guest sent 0 of 2 heartbeats within 60 s")

    (tmp_path / "k").write_bytes(b"\x7fELF")
    counting = f'{TABLES}[guest.progress]\nserial = "never: ([0-9])"\n'
    consoles = SimpleNamespace(wait_beats=few, said=lambda _: LINES)
    with pytest.raises(QemuError) as caught:
        make_guest(load_minimal(tmp_path, tables=counting))._wait_progress(SimpleNamespace(consoles=consoles))
    assert str(caught.value) == (
        "source: the guest sent 0 of 2 heartbeats within 60 s: its console said too little like guest.progress.serial "
        "'never: ([0-9])'; its console's last lines: b | c\\x1b | d"
    )
