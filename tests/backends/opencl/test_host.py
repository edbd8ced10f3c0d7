"""Through any kind of buffer and any style, the bytes that went in come out; and no device is believed."""

import contextlib
import mmap
import os
import threading
import zlib
from dataclasses import asdict

import faulty_opencl
import pytest
from faulty_opencl import FAULTS
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.conformance.samples import KINDS, sample
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError
from backends.opencl.host import open_device, self_test
from backends.opencl.launch import Launch, SlotLayout

STYLES = ("wi", "wg", "task")
BLOCKS = (4096, 65536)


class Place:
    """A slot with its memory."""

    def __init__(self, device, input_bytes):
        self.layout = SlotLayout.of(input_bytes, device.identity.block_bytes)
        self.memory = mmap.mmap(-1, self.layout.memory_bytes)
        self.slot = device.slot(self.memory, self.layout)

    def compress(self, data) -> tuple[bytes, Launch]:
        self.memory[: len(data)] = data
        launch = self.slot.compress(len(data))
        begin = self.layout.output_offset
        return self.memory[begin : begin + launch.joined_bytes], launch


def inflated(packed):
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(packed)
    assert inflater.eof
    assert not inflater.unused_data
    return data


@pytest.fixture(scope="module", params=[True, False], ids=["in place", "copied"])
def places(request, real_device):
    """places(block_bytes, style) -> a slot of the real kernels, for four blocks."""
    with contextlib.ExitStack() as stack:
        made = {}

        def place(block_bytes, style):
            if (block_bytes, style) not in made:
                config = DeviceConfig(real_device.selector, block_bytes=block_bytes, style=style)
                device = stack.enter_context(contextlib.closing(open_device(config, in_place=request.param)))
                made[block_bytes, style] = Place(device, 4 * block_bytes)
            return made[block_bytes, style]

        yield place


@pytest.fixture(scope="module", params=[(True, "wi", 65536), (False, "task", 4096)], ids=["in place", "copied"])
def faulty(request, real_device):
    """A slot for four blocks of the program whose faults a batch asks for."""
    in_place, style, block_bytes = request.param
    config = DeviceConfig(real_device.selector, block_bytes=block_bytes, style=style)
    with contextlib.closing(open_device(config, source=faulty_opencl.SOURCE, in_place=in_place)) as device:
        yield Place(device, 4 * block_bytes)


def sizes(block_bytes):
    edges = [0, 1, block_bytes - 1, block_bytes, block_bytes + 1, 4 * block_bytes]
    return st.sampled_from(edges) | st.integers(0, 4 * block_bytes)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("block_bytes", BLOCKS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_comes_out_restores_to_what_went_in(places, style, block_bytes, data):
    place = places(block_bytes, style)
    batch = sample(data.draw(st.sampled_from(sorted(KINDS))), data.draw(sizes(block_bytes)))
    packed, launch = place.compress(batch)
    assert inflated(packed) == batch
    assert launch.blocks == -(-len(batch) // block_bytes)


@pytest.mark.parametrize("block_bytes", BLOCKS)
def test_a_launch_counts_its_blocks_and_tells_its_times(places, block_bytes):
    _, launch = places(block_bytes, "wi").compress(bytes(block_bytes) + os.urandom(block_bytes) + b"text" * 500)
    assert (launch.blocks, launch.zero_blocks, launch.stored_blocks) == (3, 1, 1)
    assert launch.kernel_s > 0
    assert min(launch.host_to_device_s, launch.device_to_host_s, launch.queue_s) >= 0
    assert max(asdict(launch).values()) < 1 << 20


def test_an_empty_batch_is_an_empty_stream(places):
    packed, launch = places(4096, "wi").compress(b"")
    assert packed == b"\x03\x00"
    assert launch == Launch(2, 0, 0, 0, 0, 0, 0, 0)


def test_a_batch_that_the_slot_has_no_room_for(places):
    slot = places(4096, "wi").slot
    for raw_bytes in (-1, 4 * 4096 + 1):
        with pytest.raises(OpenclError, match=rf"cannot compress {raw_bytes} bytes in a slot for 0\.\.16384"):
            slot.compress(raw_bytes)


def test_memory_that_is_short_or_not_on_a_page(real_device):
    with contextlib.closing(open_device(DeviceConfig(real_device.selector), source=faulty_opencl.SOURCE)) as device:
        layout = SlotLayout.of(65536, 65536)
        memory = memoryview(mmap.mmap(-1, 2 * layout.memory_bytes))
        for wrong in (memory[: layout.memory_bytes - 1], memory[64:]):
            with pytest.raises(ValueError, match="from a page's begin on"):
                device.slot(wrong, layout)


def test_slots_work_side_by_side(real_device):
    wrong = []

    def work(place, number):
        for turn in range(12):
            batch = sample(sorted(KINDS)[turn % len(KINDS)], 300_000 + number * 1000 + turn)
            if inflated(place.compress(batch)[0]) != batch:
                wrong.append((number, turn))

    with contextlib.closing(open_device(DeviceConfig(real_device.selector))) as device:
        threads = [threading.Thread(target=work, args=(Place(device, 1 << 20), number)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_identity_is_what_the_driver_says(real_device):
    with contextlib.closing(open_device(DeviceConfig(real_device.selector, block_bytes=4096, style="wi"))) as device:
        found = asdict(device.identity)
    assert found == {
        "platform": real_device.platform,
        "device": real_device.name,
        "type": real_device.type,
        "driver": real_device.driver,
        "version": real_device.version,
        "style": "wi",
        "block_bytes": 4096,
        "unified_memory": real_device.unified_memory,
        "binary_sha256": None,
    }


def test_a_closed_device_lets_the_memory_go(real_device):
    device = open_device(DeviceConfig(real_device.selector), source=faulty_opencl.SOURCE)
    place = Place(device, 65536)
    place.compress(b"page")
    device.close()
    place.memory.close()  # raises BufferError while someone holds it
    device.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_no_answer_is_believed_that_cannot_be(faulty, fault):
    number, words = FAULTS[fault]
    block_bytes = faulty.layout.input_bytes // 4
    batch = bytes([0xF0 + number]) + bytes(3 * block_bytes)
    with pytest.raises(OpenclError, match=words) as raised:
        faulty.compress(batch)
    assert "\n" not in str(raised.value)
    good = bytes(range(256)) * 40
    assert inflated(faulty.compress(good)[0]) == good


def test_a_failed_call_is_one_line_and_the_slot_lives_on(faulty, monkeypatch):
    batch = b"page" * 2500
    with monkeypatch.context() as patch:
        patch.setattr(type(faulty.slot._program), "shape", lambda *_: ((3,), (2,)))
        with pytest.raises(OpenclError, match=r"a batch of 10000 bytes failed: .*INVALID_WORK_GROUP_SIZE") as raised:
            faulty.compress(batch)
    assert "\n" not in str(raised.value)
    assert inflated(faulty.compress(batch)[0]) == batch


def test_a_failed_join_gives_the_memory_back(faulty, monkeypatch):
    shapes = iter([((4,), (1,)) if faulty.slot._program.style == "wi" else ((1,), (1,)), ((3,), (2,))])
    batch = bytes(faulty.layout.input_bytes)
    with monkeypatch.context() as patch:
        patch.setattr(type(faulty.slot._program), "shape", lambda *_: next(shapes))
        with pytest.raises(OpenclError, match="INVALID_WORK_GROUP_SIZE"):
            faulty.compress(batch)
    assert inflated(faulty.compress(batch)[0]) == batch


def opened(real_device, source):
    config = DeviceConfig(real_device.selector, block_bytes=4096, style="wi")
    return contextlib.closing(open_device(config, source=source))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("static uint store(", "static uint store{", "its compiler refuses the kernels"),
        ("kernel void gather_blocks", "kernel void collect_blocks", "lacks the kernel gather_blocks"),
        ("kernel void deflate_info", "kernel void info", "lacks the kernel deflate_info"),
        ("{0x50464431, 1,", "{0x50464432, 1,", "gives 0x50464432, ABI 1"),
        ("{0x50464431, 1,", "{0x50464431, 2,", "gives 0x50464431, ABI 2"),
        ("1, BLOCK, STRIDE,", "1, 65536, STRIDE,", "has blocks of 65536 bytes and style 0, asked for are 4096 and 0"),
        ("BLOCK, STRIDE, STYLE", "BLOCK, STRIDE, 2", "has blocks of 4096 bytes and style 2"),
        ("1, BLOCK, STRIDE,", "1, BLOCK, STRIDE - 64,", "gives a stride of 4096"),
        (": 1, 64, 0}", ": 1, 1 << 30, 0}", "1073741824 bytes of scratch"),
        ("? 64 : 1,", "? 64 : 0,", "work-groups of 0"),
    ],
    ids=["syntax", "no gather", "no info", "magic", "abi", "block", "style", "stride", "scratch", "work-group"],
)
def test_a_program_that_is_not_ours_is_refused(real_device, old, new, words):
    assert old in faulty_opencl.SOURCE
    with pytest.raises(OpenclError) as raised, opened(real_device, faulty_opencl.SOURCE.replace(old, new)):
        pass
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_self_test_finds_a_device_that_is_wrong(real_device):
    source = faulty_opencl.SOURCE.replace(
        "in[0] > 0xF0 ? in[0] - 0xF0 : 0", f"in_bytes > BLOCK ? {faulty_opencl.SPOILT} : 0"
    )
    with opened(real_device, source) as device, pytest.raises(OpenclError, match="restores to other bytes"):
        self_test(device)


def test_the_self_test_finds_a_device_that_writes_no_deflate(real_device):
    source = faulty_opencl.SOURCE.replace("slot[out++] = 0;", "slot[out++] = 6;")
    with opened(real_device, source) as device, pytest.raises(OpenclError, match="is no DEFLATE"):
        self_test(device)


def test_the_self_test_passes_the_kernels(real_device):
    for block_bytes in BLOCKS:
        with contextlib.closing(open_device(DeviceConfig(real_device.selector, block_bytes=block_bytes))) as device:
            self_test(device)
