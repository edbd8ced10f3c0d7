"""The memory comparison finds what differs, and where. A monitor over an array stands in for QEMU."""

import numpy as np
import pytest

from harness.errors import QemuError
from harness.measure.verify import Check, MemoryRange, compare_memory, read_memory, verify


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


@pytest.fixture
def memory():
    return np.random.default_rng(1).integers(0, 256, 1 << 18, dtype=np.uint8)


RANGES = [MemoryRange(0x1000, 0x8000), MemoryRange(0x10000, 0x30000)]


def test_equal_memory_is_verified_and_the_bytes_are_counted(memory, tmp_path):
    destination = Memory(memory.copy())
    found = verify(Memory(memory), destination, RANGES, tmp_path, guest_checks=[Check(ok=True, line="guest: ok")])
    assert found.ok
    assert found.lines == ("guest: ok", "compared 229,376 bytes outside the working set: equal")
    assert destination.stopped
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("chunk_bytes", [4096, 10000, 1 << 20])
def test_each_flipped_byte_is_found_with_its_address_and_page(memory, tmp_path, chunk_bytes):
    other = memory.copy()
    for address in (0x10000, 0x10001, 0x23456, 0x3FFFF):
        other[address] ^= 0x40
    found = compare_memory(Memory(memory), Memory(other), RANGES, tmp_path, chunk_bytes)
    assert (found.compared_bytes, found.differing_pages, found.first) == (0x38000, 3, 0x10000)
    assert found.expected == memory[0x10000 : 0x10000 + len(found.expected) // 2].tobytes().hex()
    assert found.actual == other[0x10000 : 0x10000 + len(found.actual) // 2].tobytes().hex()


def test_a_difference_fails_the_verification_in_words(memory, tmp_path):
    other = memory.copy()
    other[0x1234:0x123C] = memory[0x1234:0x123C] ^ 1
    found = verify(Memory(memory), Memory(other), RANGES, tmp_path)
    assert not found.ok
    expected, actual = (data[0x1234:0x123C].tobytes().hex() for data in (memory, other))
    assert found.lines[0].endswith(f"1 pages differ, first at address 0x1234: source {expected}, destination {actual}")


def test_a_difference_outside_the_ranges_is_the_guests_own(memory, tmp_path):
    other = memory.copy()
    other[[0, 0xFFF, 0x9000, 0xFFFF]] ^= 1
    assert verify(Memory(memory), Memory(other), RANGES, tmp_path).ok


def test_a_failed_guest_check_fails_it_although_memory_is_equal(memory, tmp_path):
    found = verify(Memory(memory), Memory(memory), RANGES, tmp_path, guest_checks=[Check(ok=False, line="page 7: bad")])
    assert (found.ok, found.lines[0]) == (False, "page 7: bad")


def test_comparing_nothing_is_not_a_verification(memory, tmp_path):
    assert not verify(Memory(memory), Memory(memory), [], tmp_path).ok


def test_a_short_dump_is_an_error_and_leaves_no_file(memory, tmp_path):
    with pytest.raises(QemuError, match="saved 4095 of 4096 bytes from 0x1000"):
        read_memory(Memory(memory, short_by=1), MemoryRange(0x1000, 4096), tmp_path / "x.ram")
    assert not list(tmp_path.iterdir())
