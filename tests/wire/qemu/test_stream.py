"""The parser: its batches are exactly the stream, whatever the stream and wherever it is cut; and it finds every page."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
import sample_streams
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wire.batch import PageBatch
from harness.wire.qemu.stream import QStreamParser


def feed(parser: QStreamParser, data: bytes, cuts: list[int]) -> list[PageBatch]:
    batches: list[PageBatch] = []
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        batches += parser.receive_data(data[start:end])
    if (last := parser.finish()) is not None:
        batches.append(last)
    return batches


def page_offsets(batches: list[PageBatch]) -> list[int]:
    """Where each page lies in the whole stream."""
    found, base = [], 0
    for batch in batches:
        for offset, count in batch.runs:
            found += [base + offset + i * (batch.page_bytes + 8) for i in range(count)]
        base += batch.raw_bytes
    return found


def reference_offsets(data: bytes, page_bytes: int = 4096) -> list[int]:
    items = sample_streams.parse(data, page_size=page_bytes)
    return [offset + length - page_bytes for kind, offset, length in items if kind == "page"]


@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 400_000), max_size=12),
    size=st.sampled_from([16384, 50_001, 262144]),
)
@settings(max_examples=60, deadline=None)
def test_batches_are_the_stream_and_hold_every_page_wherever_it_is_cut(seed: int, cuts: list[int], size: int) -> None:
    data = sample_streams.small_stream(seed, sections=3)
    parser = QStreamParser(size)
    batches = feed(parser, data, [cut % len(data) for cut in cuts])
    assert b"".join(batch.raw for batch in batches) == data
    assert page_offsets(batches) == reference_offsets(data)
    assert parser.opaque_reason is None


def test_one_byte_at_a_time_finds_the_same_pages() -> None:
    data = sample_streams.small_stream(3, sections=1, records=6)
    batches = feed(QStreamParser(16384), data, list(range(1, len(data))))
    assert b"".join(batch.raw for batch in batches) == data
    assert page_offsets(batches) == reference_offsets(data)


@given(flush_after=st.lists(st.integers(1, 9000), min_size=1, max_size=40), seed=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_flushing_at_any_time_loses_nothing(flush_after: list[int], seed: int) -> None:
    data = sample_streams.small_stream(seed, sections=2, records=20)
    parser, batches, at, turn = QStreamParser(32768), [], 0, 0
    while at < len(data):
        count = flush_after[turn % len(flush_after)]
        batches += parser.receive_data(data[at : at + count])
        if (batch := parser.flush()) is not None:
            batches.append(batch)
        at, turn = at + count, turn + 1
    if (last := parser.finish()) is not None:
        batches.append(last)
    assert b"".join(batch.raw for batch in batches) == data
    assert page_offsets(batches) == reference_offsets(data)


@given(garbage=st.binary(max_size=5000), prefix=st.integers(0, 3000), seed=st.integers(0, 50))
@settings(max_examples=80, deadline=None)
def test_garbage_at_any_place_is_carried_and_never_raises(garbage: bytes, prefix: int, seed: int) -> None:
    data = sample_streams.small_stream(seed, sections=1, records=5)[:prefix] + garbage
    batches = feed(QStreamParser(16384), data, [prefix // 2])
    assert b"".join(batch.raw for batch in batches) == data


@given(seed=st.integers(0, 200), at=st.integers(0, 200_000), value=st.integers(0, 255))
@settings(max_examples=80, deadline=None)
def test_one_changed_byte_is_carried_like_any_other(seed: int, at: int, value: int) -> None:
    data = bytearray(sample_streams.small_stream(seed, sections=2))
    data[at % len(data)] = value
    batches = feed(QStreamParser(65536), bytes(data), [])
    assert b"".join(batch.raw for batch in batches) == data


def ram(*parts: bytes, before: bytes = b"") -> bytes:
    return (
        sample_streams.header()
        + sample_streams.config()
        + before
        + sample_streams.start_ram([("pc.ram", 1 << 30)])
        + b"".join(parts)
    )


PAGE = sample_streams.raw_page(0, bytes(range(256)) * 16, "pc.ram")


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not a QEMU migration stream"),
        (sample_streams.header(2) + bytes(50), "not a QEMU migration stream of version 3"),
        (ram(before=sample_streams.full_section(9, "vfio", b"x" * 99)), "section 'vfio'"),
        (
            ram(sample_streams.full_section(9, "dirty-bitmap", b"x" * 99), sample_streams.part(PAGE)),
            "section 'dirty-bitmap'",
        ),
        (ram(sample_streams.part(sample_streams.hook())), "unknown record flags 0x80"),
        (ram(sample_streams.part(sample_streams.u64(0x801))), "unknown record flags 0x801"),
        (ram(sample_streams.part(PAGE, section_id=7)), "a part of section 7"),
        (ram(sample_streams.part(PAGE, foot=False), sample_streams.part(PAGE)), "no footer"),
        (ram(sample_streams.command(sample_streams.POSTCOPY_LISTEN)), "postcopy"),
        (ram(sample_streams.packaged(b"z" * 70)), "postcopy"),
        (ram(b"\x55" * 70), "unknown item type 0x55"),
        (sample_streams.header() + b"\x07\xff\xff\xff\xff" + bytes(64), "the machine's name claims"),
        (ram(sample_streams.part(sample_streams.u64(0x120) + b"\xff\xff\xff\xff")), "a compressed page claims"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_not_understood_is_carried_with_the_reason(stream: bytes, reason: str) -> None:
    data = stream + random.Random(1).randbytes(40_000)
    parser = QStreamParser(16384)
    batches = feed(parser, data, [])
    assert b"".join(batch.raw for batch in batches) == data
    assert parser.opaque_reason is not None
    assert reason in parser.opaque_reason
    assert "at byte" in parser.opaque_reason


def test_the_tail_after_the_end_of_ram_is_opaque_without_a_reason() -> None:
    data = (
        ram(sample_streams.part(PAGE), sample_streams.end())
        + sample_streams.device_state(random.Random(1))
        + sample_streams.eof()
    )
    parser = QStreamParser()
    feed(parser, data, [])
    assert parser.is_whole()
    assert parser.opaque_reason is None
    assert parser.counts.opaque_bytes > 0
    assert parser.counts.raw_pages == 1


def test_larger_target_pages_are_found() -> None:
    page = random.Random(1).randbytes(65536)
    records = [sample_streams.raw_page(i * 65536, page, None if i else "mach-virt.ram") for i in range(20)]
    data = (
        sample_streams.header()
        + sample_streams.config("virt-7.2", [sample_streams.target_page_bits(16)])
        + sample_streams.start_ram([("mach-virt.ram", 20 * 65536)])
        + sample_streams.part(*records)
        + sample_streams.end()
    )
    parser = QStreamParser(300_000)
    batches = feed(parser, data, [5000, 70_000])
    assert b"".join(batch.raw for batch in batches) == data
    assert (parser.ram.page_bytes, parser.counts.raw_pages, parser.opaque_reason) == (65536, 20, None)
    assert page_offsets(batches) == reference_offsets(data, 65536)


@pytest.mark.parametrize("huge", [(), ("a",), ("b",), ("a", "b")], ids=lambda names: "huge:" + "".join(names))
def test_block_lists_where_postcopy_may_follow_are_read(huge: tuple[str, ...]) -> None:
    """Each block has a field of its own or not: some may lie on huge pages and others not."""
    advice = sample_streams.command(sample_streams.POSTCOPY_ADVISE, bytes(16))
    parser = block_list_read([], advice, page_sizes=dict.fromkeys(huge, 2 << 20))
    assert (parser.opaque_reason, parser.counts.raw_pages) == (None, 1)


@pytest.mark.parametrize("advised", [False, True])
@pytest.mark.parametrize("address", [0, 0xFEED000, 1 << 30])
def test_a_shared_blocks_address_is_no_page_size_where_dirty_bitmaps_may_follow(address: int, advised: bool) -> None:
    """They are announced as post-copy is, with nothing in it. The second node of a guest may lie at 1 GiB."""
    advice = sample_streams.command(sample_streams.POSTCOPY_ADVISE) if advised else b""
    parser = block_list_read(["x-ignore-shared"], advice, ignore_shared=True, address=address)
    assert (parser.opaque_reason, parser.counts.raw_pages) == (None, 1)


def test_a_block_list_that_may_be_read_in_two_ways_is_carried_unread() -> None:
    advice = sample_streams.command(sample_streams.POSTCOPY_ADVISE, bytes(16))
    parser = block_list_read(["x-ignore-shared"], advice, ignore_shared=True, address=1 << 30)
    assert parser.opaque_reason is not None
    assert parser.opaque_reason.startswith("x-ignore-shared together with postcopy-ram")


def block_list_read(capabilities: list[str], advice: bytes, **blocks: object) -> QStreamParser:
    """Two blocks and a page of the first."""
    data = (
        sample_streams.header()
        + sample_streams.config(subsections=[sample_streams.capabilities(capabilities)] if capabilities else [])
        + advice
        + sample_streams.start_ram([("a", 64 << 20), ("b", 2 << 20)], **blocks)
        + sample_streams.part(sample_streams.raw_page(0, bytes(4096), "a"))
        + sample_streams.end()
    )
    parser = QStreamParser()
    feed(parser, data, [])
    return parser


@pytest.mark.parametrize("page_bytes", [1024, 4096, 8192])
@pytest.mark.parametrize("first", ["zero", "raw"])
def test_pages_whose_size_is_not_told_are_found(page_bytes: int, first: str) -> None:
    rng = random.Random(7)

    def record(number: int) -> bytes:
        block = "ram" if number == 0 else None
        if (number % 5 == 0) == (first == "zero"):
            return sample_streams.zero_page(number * page_bytes, 0, block)
        return sample_streams.raw_page(number * page_bytes, rng.randbytes(page_bytes), block)

    records = [record(number) for number in range(60)]
    data = (
        sample_streams.header()
        + sample_streams.config("versatilepb")
        + sample_streams.start_ram([("ram", 1 << 20)])
        + b"".join(sample_streams.part(*records[at : at + 20]) for at in (0, 20, 40))
        + sample_streams.end()
    )
    parser = QStreamParser()
    batches = feed(parser, data, [300, 5000])
    assert b"".join(batch.raw for batch in batches) == data
    assert (parser.ram.page_bytes, parser.opaque_reason) == (page_bytes, None)
    assert parser.counts.raw_pages + parser.counts.zero_pages == 60
    assert page_offsets(batches) == reference_offsets(data, page_bytes)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (sample_streams.command(sample_streams.OPEN_RETURN_PATH) + sample_streams.ping(), True),
        (sample_streams.ping() + sample_streams.command(sample_streams.OPEN_RETURN_PATH), True),
        (b"", False),
        (sample_streams.full_section(9, "vfio", b"x"), False),
    ],
    ids=["opened", "opened-late", "not", "unfamiliar"],
)
def test_whether_the_destination_is_to_answer_is_known_when_ram_begins(before: bytes, told: bool) -> None:
    data = ram(sample_streams.part(PAGE), before=before)
    parser = QStreamParser()
    parser.receive_data(data[: len(sample_streams.header()) + 5])
    assert parser.return_path is None
    parser.receive_data(data[len(sample_streams.header()) + 5 :])
    assert parser.return_path is told
    assert parser.is_migration


def test_the_recovery_of_a_post_copy_migration_is_named_and_carried() -> None:
    data = sample_streams.command(10, sample_streams.idstr("pc.ram")) + random.Random(1).randbytes(5000)
    parser = QStreamParser(16384)
    assert b"".join(batch.raw for batch in feed(parser, data, [1, 2, 3])) == data
    assert "the recovery of a post-copy migration" in (parser.opaque_reason or "")
    assert (parser.return_path, parser.postcopy, parser.is_migration) == (True, True, True)
    assert not parser.is_whole()


@given(seed=st.integers(0, 50), batch_bytes=st.sampled_from([16384, 262144]), cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None)
def test_only_the_whole_stream_ends_as_one_does(seed: int, batch_bytes: int, cut: float) -> None:
    data = sample_streams.small_stream(seed, sections=2)
    parser = QStreamParser(batch_bytes)
    feed(parser, data, [])
    assert parser.is_whole()
    torn = data[: int(cut * len(data))]
    parser = QStreamParser(batch_bytes)
    feed(parser, torn, [])
    eof = len(data) - len(sample_streams.vmdescription())
    assert parser.is_whole() == (len(torn) == eof)  # where a machine that describes nothing would end


def test_a_record_torn_by_the_end_of_the_stream_is_not_lost() -> None:
    data = ram(sample_streams.part(PAGE))[:-3000]
    parser = QStreamParser()
    assert b"".join(batch.raw for batch in feed(parser, data, [])) == data
    assert "ended inside a record" in (parser.opaque_reason or "")


def test_a_changed_batch_size_holds_from_the_next_batch_on() -> None:
    data = ram(sample_streams.part(PAGE, *(sample_streams.raw_page(4096 * i, bytes(4096)) for i in range(200))))
    parser = QStreamParser(262144)
    parser.receive_data(data[:100])
    parser.batch_bytes = 65536
    sizes = [batch.raw_bytes for batch in parser.receive_data(data[100:])]
    assert sizes[0] > 200_000
    assert all(60_000 < size <= 65536 for size in sizes[1:])
