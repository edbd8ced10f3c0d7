"""How much of memory the first pass has not come to: from its addresses, and 0 where nothing is known of it."""

from __future__ import annotations

import random

import pytest
import sample_streams as s
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.streams.synthetic import StreamSpec, write_stream
from harness.wire.qemu.stream import QStreamParser

BLOCKS = [("pc.ram", 64 * s.PAGE), ("vga.vram", 16 * s.PAGE)]
TOTAL = 80 * s.PAGE


def begin(names=(), advised=False) -> bytes:
    advice = s.command(s.POSTCOPY_ADVISE, s.u64(s.PAGE) * 2) if advised else b""
    ram = s.start_ram(BLOCKS, ignore_shared="x-ignore-shared" in names)
    return s.header() + s.config(subsections=[s.capabilities(names), s.target_page_bits(12)]) + advice + ram


def walk(rng: random.Random, last: str | None) -> list[tuple[int, bytes]]:
    """One pass over some of memory, block by block: records, and how much of memory lies behind each."""
    records, left = [], TOTAL
    for block, length in BLOCKS:
        for address in sorted(rng.sample(range(0, length, s.PAGE), rng.randrange(1, length // s.PAGE))):
            records.append((left - address, s.random_record(rng, address, None if block == last else block)))
            last = block
        left -= length
    return records


@given(seed=st.integers(0, 10_000), size=st.sampled_from([16384, 50_001]), step=st.sampled_from([700, 5000, 60_000]))
@settings(max_examples=40, deadline=None)
def test_it_is_what_lies_behind_the_last_record_until_memory_begins_again(seed, size, step):
    rng, parser = random.Random(seed), QStreamParser(size)

    def feed(data: bytes) -> None:
        for at in range(0, len(data), step):
            parser.receive_data(data[at : at + step])

    feed(begin())
    assert parser.ram.first_pass_left_bytes == TOTAL
    first = walk(rng, None)
    while first:
        count = rng.randrange(1, 30)
        feed(s.part(*(record for _, record in first[:count])))
        assert parser.ram.first_pass_left_bytes == first[:count][-1][0]
        first = first[count:]
    feed(s.part(*(record for _, record in walk(rng, BLOCKS[-1][0]))))
    assert parser.ram.first_pass_left_bytes == 0
    assert parser.opaque_reason is None


@pytest.mark.parametrize(("names", "advised"), [(["x-ignore-shared"], False), ([], True)])
def test_of_a_pass_that_may_end_before_nothing_is_known(names, advised):
    parser = QStreamParser()
    parser.receive_data(begin(names, advised) + s.part(s.zero_page(0, 0, "pc.ram")))
    assert parser.opaque_reason is None
    assert parser.ram.first_pass_left_bytes == 0


@pytest.mark.parametrize("block", ["pc.bios", "pc.ram"])
def test_memory_that_was_not_announced_ends_it(block):
    parser = QStreamParser()
    parser.receive_data(begin() + s.part(s.zero_page(TOTAL, 0, block)))
    assert parser.ram.first_pass_left_bytes == 0


def test_a_generated_guest_is_walked_through_once(tmp_path):
    parser, left = QStreamParser(), []
    with (tmp_path / "stream").open("w+b") as file:
        write_stream(StreamSpec(16 << 20, {"text": 0.5, "zero": 0.5}, working_set_bytes=4 << 20), file)
        file.seek(0)
        while data := file.read(1 << 16):
            parser.receive_data(data)
            left.append(parser.ram.first_pass_left_bytes)
    assert left[:-1] == sorted(left[:-1], reverse=True)
    assert left[0] > 15 << 20
    assert 0 < min(each for each in left if each) < 2 << 20
    assert left[-1] == 0
