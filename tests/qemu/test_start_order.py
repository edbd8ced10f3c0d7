"""The pair where somebody else starts the QEMUs, as libvirt does: the destination comes last, the source by descriptor."""

import json
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from live_guests import QEMU, checked, two_guests, two_halves, wait_status, wait_words

from harness.qemu.migration import listen

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed"),
]


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield Path(folder)


class Monitor:
    """QMP by hand: a descriptor travels beside its command, and belongs to the monitor that took it."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile()
        self.lines.readline()
        self.execute("qmp_capabilities")

    def execute(self, command, descriptor=None, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments}).encode()
        if descriptor is None:
            self.socket.sendall(text)
        else:
            socket.send_fds(self.socket, [text], [descriptor])
        while "event" in (answer := json.loads(self.lines.readline())):
            pass
        assert "return" in answer, answer

    def close(self):
        self.lines.close()
        self.socket.close()


def migrate_by_descriptor(source, path):
    """Connect for QEMU and hand it the connection."""
    monitor = Monitor(source.qmp_for_others)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        monitor.execute("getfd", connection.fileno(), fdname="migrate")
    monitor.execute("migrate", uri="fd:migrate")
    return monitor


def finished(guests, halves):
    assert wait_status(guests.source, "completed", "failed") == "completed"
    assert wait_status(guests.destination, "completed", "failed") == "completed"
    sent, received = halves.sender.finish(), halves.receiver.finish()
    assert sent.stream_bytes == received.stream_bytes
    check = checked(guests)
    assert check.ok, check.line


def test_the_pair_stands_before_the_destination_does_and_takes_a_connection_made_by_another(run_dir):
    with two_halves(run_dir, "h") as halves, two_guests(run_dir, steered=True) as guests:
        halves.start()
        listen(guests.destination, f"unix:{halves.destination}")
        monitor = migrate_by_descriptor(guests.source, halves.source)
        finished(guests, halves)
        monitor.close()


def test_a_destination_that_listens_after_the_migration_began_gets_all_of_it(run_dir):
    with two_halves(run_dir, "h") as halves, two_guests(run_dir) as guests:
        halves.start()
        guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
        wait_words(halves.receiver, "waiting up to 60 s for the destination QEMU to listen")
        listen(guests.destination, f"unix:{halves.destination}")
        finished(guests, halves)


def test_the_sender_may_be_there_before_its_receiver_and_qemu_before_both_agreed(run_dir):
    with two_halves(run_dir, "h") as halves, two_guests(run_dir) as guests:
        listen(guests.destination, f"unix:{halves.destination}")
        halves.sender.start()
        wait_words(halves.sender, "waiting up to 60 s for `pageferry receive`")
        guests.source.qmp.execute("migrate", uri=f"unix:{halves.source}")
        halves.receiver.start()
        halves.sender.wait_ready()
        finished(guests, halves)
