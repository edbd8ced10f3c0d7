"""Two real libvirt daemons with the pair between them, by the commands of docs/libvirt.md."""

import json
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import libvirt_host
import pytest
from libvirt_host import GUEST, SOCKET, Host
from live_guests import CONFIG, QEMU, wait_words

from harness.errors import PageferryError
from harness.experiment.halves import Half
from harness.guests.console import Consoles
from harness.guests.stress import Command, Console, VerifyReport, command_line, kernel_path
from harness.hosts.local import Local
from harness.migrator.config import ReceiveConfig, SendConfig

LACK = libvirt_host.why_not() if shutil.which(QEMU) else f"{QEMU} is not installed"
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(LACK is not None, reason=str(LACK))]

USERFAULTFD = Path("/proc/sys/vm/unprivileged_userfaultfd")
CONSOLE = "/var/lib/libvirt/qemu/console"
KERNEL = "/var/lib/libvirt/stress.elf"
DOMAIN = f"""
<domain type='qemu'>
  <name>{GUEST}</name>
  <uuid>6f0cbb4e-4f3c-4c3c-9f43-6a1ac2a3c8a4</uuid>
  <memory unit='b'>{CONFIG.memory_bytes}</memory>
  <memoryBacking><allocation mode='immediate'/></memoryBacking>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <loader readonly='yes' type='rom'>/usr/share/qemu/qboot.rom</loader>
    <kernel>{KERNEL}</kernel>
    <cmdline>{command_line(CONFIG)}</cmdline>
  </os>
  <devices>
    <emulator>{shutil.which(QEMU)}</emulator>
    <controller type='usb' model='none'/>
    <serial type='unix'><source mode='bind' path='{CONSOLE}'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


@pytest.fixture(scope="module")
def hosts():
    """A source and a destination. Both know the guest's kernel, as libvirt wants to see it on either."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pf-lv-")))
        pair = []
        for name in ("source", "destination"):
            host = Host(name, folder / name)
            shutil.copy(kernel_path(), host.folder / "lib/stress.elf")
            stack.callback(host.stop)
            host.start()
            pair.append(host)
        yield pair


@pytest.fixture
def source(hosts, tmp_path):
    """The source, with the guest on it and on no other."""
    if [host.guests() for host in hosts] != [[GUEST], []]:
        for host in hosts:
            host.virsh("destroy", GUEST, check=False)
        (tmp_path / "guest.xml").write_text(DOMAIN)
        hosts[0].virsh("create", str(tmp_path / "guest.xml"))
    return hosts[0]


@pytest.fixture
def destination(hosts):
    return hosts[1]


class Asking(Local):
    def __init__(self, uri, prefix):
        super().__init__(prefix=prefix)
        self._uri = uri

    def program(self, *arguments):
        return [*super().program(*arguments), "--libvirt", GUEST, "--libvirt-uri", self._uri]


class Pair:
    """Receiver and sender, each on its host, both before libvirt has made anything ready for a migration; a sender that asks the
    destination's libvirt, which has the guest then."""

    def __init__(self, stack, source, destination, folder):
        folder.mkdir()
        link = f"unix:{folder}/link"
        receive, send = ReceiveConfig(link, f"unix:{SOCKET}"), SendConfig(f"unix:{SOCKET}", link, "zlib")
        self.receiver = Half(receive, run_dir=folder, host=destination.processes)
        self.sender = Half(send, run_dir=folder, host=Asking(destination.uri, source.processes.prefix))
        stack.callback(self.receiver.stop)
        stack.callback(self.sender.stop)
        for half in (self.receiver, self.sender):
            half.start()
            half.wait_ready()


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def open_pair(stack, source, destination):
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pf-lv-")))
    names = iter("abc")
    return lambda: Pair(stack, source, destination, folder / next(names))


def arguments(destination, *more):
    uris = ("--desturi", destination.uri, "--migrateuri", f"unix://{SOCKET}")
    return ("migrate", "--live", *more, GUEST, *uris)


def stays(source, destination):
    """The guest is at the source; what was begun of it at the destination goes, if perhaps a moment after `virsh migrate`."""
    assert source.guests() == [GUEST]
    deadline_s = time.monotonic() + libvirt_host.PATIENCE_S
    while destination.guests():
        assert time.monotonic() < deadline_s, "the destination keeps a guest that did not come"
        time.sleep(0.1)
    assert source.guests() == [GUEST]


def finished(pair, source, destination):
    """The guest is at the destination, alone and whole, and both halves carried all of it."""
    assert (source.guests(), destination.guests()) == ([], [GUEST])
    assert pair.sender.finish().stream_bytes == pair.receiver.finish().stream_bytes
    reader = Consoles({"guest": Console().feed})
    try:
        reader.connect({"guest": destination.folder / "lib/qemu/console"})
        since_s = time.monotonic()
        reader.send("guest", Command.VERIFY.value)
        report = reader.wait_said("guest", lambda event: isinstance(event, VerifyReport), 60, since_s=since_s)
        assert report.ok, report.line
    finally:
        reader.close()


def test_a_migration_without_a_sender_is_refused_by_libvirt_and_the_guest_runs_on(source, destination):
    done = source.virsh(*arguments(destination), check=False)
    assert str(SOCKET) in done.stderr
    stays(source, destination)


def test_a_sender_that_finds_no_receiver_ends_the_migration_and_the_guest_runs_on(stack, source, destination, tmp_path):
    send = SendConfig(f"unix:{SOCKET}", f"unix:{tmp_path}/none", "zlib", wait_s=8)
    sender = Half(send, run_dir=tmp_path, host=source.processes)
    stack.callback(sender.stop)
    sender.start()
    wait_words(sender, "waiting up to 8 s for `pageferry receive`")
    assert source.virsh(*arguments(destination), check=False).returncode != 0
    with pytest.raises(PageferryError, match="waited for 8 s"):
        sender.wait_ready()
    stays(source, destination)


def test_a_peer_to_peer_migration_that_is_aborted_leaves_the_guest_and_may_be_tried_again(
    open_pair, source, destination
):
    first = open_pair()
    slow = arguments(destination, "--p2p", "--bandwidth", "1")
    command = ["virsh", "--connect", source.uri, *slow]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as migrating:
        wait_memory_moves(source)
        source.virsh("domjobabort", GUEST)
        _, words = migrating.communicate(timeout=60)
    assert "canceled by client" in words
    stays(source, destination)
    for half in (first.sender, first.receiver):
        half.stop()
    second = open_pair()
    source.virsh(*arguments(destination, "--p2p"))
    finished(second, source, destination)


def wait_memory_moves(source):
    deadline_s = time.monotonic() + 60
    while "Memory processed" not in source.virsh("domjobinfo", GUEST, check=False).stdout:
        assert time.monotonic() < deadline_s, "the migration does not begin"
        time.sleep(0.1)


def test_parallel_connections_are_carried(open_pair, source, destination):
    pair = open_pair()
    source.virsh(*arguments(destination, "--parallel", "--parallel-connections", "3"))
    finished(pair, source, destination)
    assert "4 connections" in pair.sender.log.read_text()


def test_libvirt_migrates_a_guest_through_the_pair(open_pair, source, destination):
    pair = open_pair()
    source.virsh(*arguments(destination))
    finished(pair, source, destination)
    made = destination.virsh("qemu-monitor-command", GUEST, '{"execute": "query-memdev"}').stdout
    assert [(block["id"], block["prealloc"]) for block in json.loads(made)["return"]] == [("pc.ram", True)]
    report = pair.sender.finish()
    assert report.libvirt.missing is None
    told = report.libvirt.figures
    assert (told["memory_normal"], told["memory_constant"]) == (report.raw_pages, report.zero_pages)
    assert 0 < told["downtime"] <= told["time_elapsed"]
    assert f"libvirt says of {GUEST}: downtime {told['downtime']} ms" in pair.sender.log.read_text()


@pytest.mark.skipif(
    not USERFAULTFD.exists() or USERFAULTFD.read_text().strip() == "0",
    reason=f"{USERFAULTFD} is 0: post-copy is not for libvirt's QEMU",
)
def test_libvirt_goes_over_to_postcopy_through_the_pair(open_pair, source, destination):
    pair = open_pair()
    options = ("--p2p", "--postcopy", "--postcopy-after-precopy", "--bandwidth", "4")
    source.virsh(*arguments(destination, *options))
    finished(pair, source, destination)
    assert "postcopy" in pair.sender.log.read_text()
