"""A guest's RAM is what was asked for, by QEMU's own words, in one block or several; too little of the host's is said before."""

import re
import shutil
import tempfile
from pathlib import Path

import psutil
import pytest

from harness.errors import MissingError, QemuError
from harness.hosts import limits
from harness.qemu.memory import Block, GuestMemory, Range
from harness.qemu.process import QemuProcess

QEMU = "qemu-system-x86_64"
MIB, GIB = 1 << 20, 1 << 30


def test_ram_beyond_the_pci_hole_is_at_4_gib_as_qemu_has_it():
    assert GuestMemory(3582 * MIB).ranges == (Range(0, 3582 * MIB),)
    assert GuestMemory(3584 * MIB).ranges == (Range(0, 3 * GIB), Range(4 * GIB, 512 * MIB))
    assert GuestMemory(2816 * MIB, machine="q35").ranges == (Range(0, 2 * GIB), Range(4 * GIB, 768 * MIB))


def test_a_node_has_a_block_and_the_pci_hole_may_be_within():
    assert GuestMemory(64 * MIB).blocks == (Block("pc.ram", 64 * MIB, (Range(0, 64 * MIB),)),)
    first, second, third = GuestMemory(6 * GIB, nodes=3).blocks
    assert first == Block("ram-node0", 2 * GIB, (Range(0, 2 * GIB),))
    assert second == Block("ram-node1", 2 * GIB, (Range(2 * GIB, GIB), Range(4 * GIB, GIB)))
    assert third == Block("ram-node2", 2 * GIB, (Range(5 * GIB, 2 * GIB),))


@pytest.fixture
def monitor():
    """``monitor(arguments)``: the QMP of a paused QEMU that was started with them."""
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not installed")
    started = []

    def start(arguments):
        argv = [QEMU, "-machine", "pc,accel=tcg", *arguments, "-nodefaults", "-display", "none", "-S"]
        started.append(QemuProcess(f"q{len(started)}", argv, run_dir=Path(folder)))
        started[-1].start()
        return started[-1].qmp

    with tempfile.TemporaryDirectory(prefix="pageferry-") as folder:
        yield start
        for qemu in started:
            qemu.stop()


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("memory", "said", "nodes"),
    [
        (GuestMemory(32 * MIB, prealloc=True), "pc.ram 32 MiB: preallocated", "0 nodes"),
        (GuestMemory(32 * MIB), "pc.ram 32 MiB: taken from the host when first touched", "0 nodes"),
        (
            GuestMemory(32 * MIB, cpus=4, nodes=2, prealloc=True),
            "ram-node0 16 MiB, ram-node1 16 MiB: preallocated",
            "node 1 cpus: 2 3",
        ),
        (
            GuestMemory(32 * MIB, nodes=2),
            "ram-node0 16 MiB, ram-node1 16 MiB: taken from the host when first touched",
            "node 0 cpus: 0\r",
        ),
    ],
    ids=["one block", "touched later", "two nodes", "a processor and two nodes"],
)
def test_qemu_makes_what_was_asked_for(monitor, memory, said, nodes):
    qmp = monitor(memory.arguments(threads=2))
    assert memory.read_back(qmp) == said
    assert nodes in qmp.execute("human-monitor-command", **{"command-line": "info numa"})
    assert len(qmp.execute("query-cpus-fast")) == memory.cpus


@pytest.mark.qemu
def test_one_block_is_called_as_a_qemu_calls_it_that_is_told_nothing(monitor):
    assert GuestMemory(32 * MIB).read_back(monitor(["-m", "32M"]))


@pytest.mark.qemu
def test_memory_that_is_not_as_asked_is_an_error(monitor):
    qmp = monitor(GuestMemory(32 * MIB).arguments())
    with pytest.raises(QemuError, match=r"q0: RAM blocks .*asked for .*True.*QEMU made .*False"):
        GuestMemory(32 * MIB, prealloc=True).read_back(qmp)


def test_too_little_memory_for_two_guests_is_a_line_with_both_figures_and_the_remedy(monkeypatch):
    monkeypatch.setattr(limits, "available_bytes", lambda: 2 * GIB)
    GuestMemory(800 * MIB, prealloc=True).check_room(guests=2)
    with pytest.raises(MissingError, match=r"need 2\.61 GiB"):
        GuestMemory(800 * MIB, prealloc=True).check_room(guests=2, kept_bytes=816 * MIB)
    GuestMemory(8 * GIB).check_room(guests=2)
    with pytest.raises(
        MissingError, match=r"^guest\.memory 1 GiB: 2 guests .* need 2\.25 GiB, and 2 GiB are available"
    ):
        GuestMemory(GIB, prealloc=True).check_room(guests=2)


@pytest.fixture
def pools(tmp_path, monkeypatch):
    """The kernel's huge pages of 2 MiB: so many reserved, free, and promised."""
    monkeypatch.setattr(limits, "_HUGE", tmp_path)
    folder = tmp_path / "hugepages-2048kB"
    folder.mkdir()
    for name, count in (("nr", 40), ("free", 36), ("resv", 4)):
        (folder / f"{name}_hugepages").write_text(f"{count}\n")


@pytest.mark.usefixtures("pools")
def test_too_few_huge_pages_are_a_line_with_their_number_and_the_remedy():
    GuestMemory(32 * MIB, hugepage_bytes=2 * MIB).check_room(guests=2)
    words = r'guest\.hugepages "2MiB": 2 guests of 64 MiB need 64 pages, and 32 of 40 .* free; as root: sysctl vm.nr_hugepages=72'
    with pytest.raises(MissingError, match=words):
        GuestMemory(64 * MIB, hugepage_bytes=2 * MIB).check_room(guests=2)
    with pytest.raises(MissingError, match='"1GiB": this host has none of that size'):
        GuestMemory(2 * GIB, hugepage_bytes=GIB).check_room(guests=1)
    assert limits.reserving(GIB, 4).startswith("echo 4 > ")
    assert limits.reserving(GIB, 4).endswith("/hugepages-1048576kB/nr_hugepages")


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("guest_bytes", "page_bytes", "said"),
    [
        (32 * MIB, 2 * MIB, "32 MiB: preallocated, in pages of 2 MiB"),
        (GIB, GIB, "1 GiB: preallocated, in pages of 1 GiB"),
    ],
    ids=["2 MiB", "1 GiB"],
)
def test_huge_pages_are_used_where_the_host_has_some(monitor, guest_bytes, page_bytes, said):
    memory = GuestMemory(guest_bytes, prealloc=True, hugepage_bytes=page_bytes)
    try:
        memory.check_room(guests=1)
    except MissingError as exc:
        pytest.skip(str(exc))
    assert memory.read_back(monitor(memory.arguments())) == f"pc.ram {said}"
    status = "".join(
        Path(f"/proc/{child.pid}/status").read_text() for child in psutil.Process().children(recursive=True)
    )
    assert sum(map(int, re.findall(r"HugetlbPages:\s+(\d+) kB", status))) << 10 == guest_bytes
