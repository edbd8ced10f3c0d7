"""The memory comparison finds what differs, and where. A monitor over an array stands in for QEMU."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness.errors import QemuError
from harness.guests.compare import Finding, Piece, compare
from harness.guests.verify import Dumped, verify
from harness.hosts.local import HERE
from harness.qemu.memory import GuestMemory


class Memory:
    """Answers ``pmemsave`` from an array, as QEMU does, and remembers whether it was stopped."""

    def __init__(self, data: np.ndarray, short_by: int = 0) -> None:
        self.data, self.short_by, self.stopped = data, short_by, False

    def execute(self, command: str, /, **arguments: object) -> object:
        if command == "stop":
            self.stopped = True
        else:
            assert command == "pmemsave"
            start = arguments["val"]
            self.data[start : start + arguments["size"] - self.short_by].tofile(arguments["filename"])
        return {}


def sides(folder, *monitors):
    return [Dumped(monitor, HERE, folder / f"{number}.ram") for number, monitor in enumerate(monitors)]


@pytest.fixture
def memory():
    return np.random.default_rng(1).integers(0, 256, 1 << 18, dtype=np.uint8)


PIECES = [Piece(0x1000, 0x8000), Piece(0x10000, 0x20000)]


@dataclass(frozen=True)
class Layout:
    """Two ranges that never change, two pages whose first 80 bytes do, a page of counters, and the guest's own rest."""

    compare: tuple[Piece, ...] = tuple(PIECES)
    working_set: tuple[Piece, ...] = (Piece(0x30000, 0x2000),)
    private: tuple[Piece, ...] = (Piece(0, 0x1000), Piece(0x3F000, 0x1000))
    page_changed_bytes: int = 80


@pytest.fixture(autouse=True)
def small_counters(memory):
    """Far from wrapping, so that adding one makes a counter grow."""
    memory[0x3F000:].view("<u4")[:] %= 1000


def test_equal_memory_is_verified_and_the_bytes_are_counted(memory, tmp_path):
    destination = Memory(memory.copy())
    counters = destination.data[0x3F000:].view("<u4")
    counters[7] += 5
    found = verify(
        *sides(tmp_path, Memory(memory), destination), Layout(), guest_checks=[Finding(ok=True, line="guest: ok")]
    )
    assert all(check.ok for check in found)
    total = int(memory[0x3F000:].view("<u4").sum())
    assert [check.line for check in found] == [
        "guest: ok",
        "compared 163,840 bytes outside the working set: equal",
        "compared 8,032 bytes of working-set pages' unwritten parts: equal",
        f"working set: {total:,} writes at the source's stop, {total + 5:,} at the end: none lost",
    ]
    assert destination.stopped
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("chunk_bytes", [4096, 12288, 1 << 20])
def test_each_flipped_byte_is_found_with_its_address_and_page(memory, tmp_path, chunk_bytes):
    other = memory.copy()
    for address in (0x10000, 0x10001, 0x23456, 0x2FFFF):
        other[address] ^= 0x40

    both = sides(tmp_path, Memory(memory), Memory(other))
    found = compare(PIECES, both, chunk_bytes)
    assert (found.compared_bytes, found.differing_pages, found.first) == (0x28000, 3, 0x10000)
    assert found.expected == memory[0x10000 : 0x10000 + len(found.expected) // 2].tobytes().hex()
    assert found.actual == other[0x10000 : 0x10000 + len(found.actual) // 2].tobytes().hex()


def test_a_difference_fails_the_verification_in_words(memory, tmp_path):
    other = memory.copy()
    other[0x1234:0x123C] = memory[0x1234:0x123C] ^ 1
    found = verify(*sides(tmp_path, Memory(memory), Memory(other)), Layout())
    assert [check.ok for check in found] == [False, True, True]
    expected, actual = (data[0x1234:0x123C].tobytes().hex() for data in (memory, other))
    assert found[0].line.endswith(f"1 pages differ, first at address 0x1234: source {expected}, destination {actual}")


def test_several_blocks_are_told_of_one_by_one(memory, tmp_path):
    other = memory.copy()
    other[0x2FFF8] ^= 1
    blocks = GuestMemory(1 << 18, nodes=2).blocks
    found = verify(*sides(tmp_path, Memory(memory), Memory(other)), Layout(), blocks=blocks)
    assert [check.ok for check in found] == [True, False, True, True]
    assert found[0].line == "compared 98,304 bytes outside the working set in ram-node0: equal"
    assert found[1].line.startswith(
        "compared 65,536 bytes outside the working set in ram-node1: 1 pages differ, first at"
    )
    assert found[2].line == "compared 8,032 bytes of working-set pages' unwritten parts in ram-node1: equal"


def test_what_the_guest_writes_is_left_to_the_guest(memory, tmp_path):
    other = memory.copy()
    other[[0, 0xFFF, 0x9000, 0xFFFF, 0x30000, 0x3104F]] ^= 1
    assert all(check.ok for check in verify(*sides(tmp_path, Memory(memory), Memory(other)), Layout()))


def test_a_failed_guest_check_fails_it_although_memory_is_equal(memory, tmp_path):
    found = verify(
        *sides(tmp_path, Memory(memory), Memory(memory)), Layout(), guest_checks=[Finding(ok=False, line="page 7: bad")]
    )
    assert [check.ok for check in found] == [False, True, True, True]


@pytest.mark.parametrize("address", [0x30050, 0x31FFF])
def test_a_working_set_page_is_compared_behind_what_the_guest_writes(memory, tmp_path, address):
    other = memory.copy()
    other[address] ^= 1
    found = verify(*sides(tmp_path, Memory(memory), Memory(other)), Layout())
    assert [check.ok for check in found] == [True, False, True]
    assert f"1 pages differ, first at address {address:#x}:" in found[1].line


def test_a_page_that_went_back_in_time_is_found_by_its_counter(memory, tmp_path):
    other = memory.copy()
    memory[0x3F000:].view("<u4")[3] = 9
    other[0x3F000:].view("<u4")[3] = 8
    found = verify(*sides(tmp_path, Memory(memory), Memory(other)), Layout())
    assert [check.ok for check in found] == [True, True, False]
    assert found[2].line == (
        "1 working-set pages went back in time, first page 3: write 9 at the source, 8 at the destination"
    )


def test_a_short_dump_is_an_error_and_leaves_no_file(memory, tmp_path):
    with pytest.raises(QemuError, match="saved 4095 of 4096 bytes from 0x1000"):
        sides(tmp_path, Memory(memory, short_by=1))[0].read(0x1000, 4096)
    assert not list(tmp_path.iterdir())
