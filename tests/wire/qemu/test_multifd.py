"""A channel of multifd: its batches are exactly what came, whatever came and however it was cut, and its pages are counted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multifd_samples import OFFSETS, device_state, initial, packet, sync
from wire.qemu.test_stream import feed

from harness.wire.qemu.marks import MULTIFD_MAGIC
from harness.wire.qemu.multifd import MultifdParser

PAGE_BYTES, ZSTD = 4096, 2 << 1


def pages_of(noise: random.Random, count: int) -> bytes:
    return noise.randbytes(count * PAGE_BYTES)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 128), st.integers(0, 40)), max_size=4),
    cuts=st.lists(st.integers(0, 1 << 21), max_size=8),
    batch_bytes=st.sampled_from([1 << 14, 100_000, 1 << 20]),
    seed=st.integers(0, 99),
)
def test_any_channel_cut_anywhere_comes_out_as_it_is_with_its_pages_counted(counts, cuts, batch_bytes, seed):
    noise = random.Random(seed)
    data = initial() + b"".join(
        noise.choice([sync(), sync(0), sync(payload_bytes=524288), device_state(noise.randbytes(3000)), b""])
        + packet(raw, pages_of(noise, raw), zero_pages=zero)
        for raw, zero in counts
    )
    parser = MultifdParser(batch_bytes)
    batches = feed(parser, data, [cut % (len(data) + 1) for cut in cuts])
    assert b"".join(batch.raw for batch in batches) == data
    assert parser.counts.raw_pages == sum(raw for raw, _ in counts)
    assert parser.counts.zero_pages == sum(zero for _, zero in counts)
    assert (parser.opaque_reason, parser.packed_by, parser.counts.opaque_bytes) == (None, None, 0)


def test_batches_end_where_pages_do():
    noise = random.Random(1)
    contents = pages_of(noise, 100)
    parser = MultifdParser(1 << 16)
    batches = feed(parser, initial() + packet(100, contents), [])
    at, first_page = 0, 64 + 320 + 8 * OFFSETS
    for batch in batches[:-1]:
        at += batch.raw_bytes
        assert (at - first_page) % PAGE_BYTES == 0
    assert len(batches) > 5


def test_what_qemu_compressed_is_named_and_counted_apart():
    parser = MultifdParser()
    data = initial() + packet(90, bytes(7001), flags=ZSTD) + packet(3, bytes(100), flags=ZSTD | 1)
    assert b"".join(batch.raw for batch in feed(parser, data, [])) == data
    assert (parser.packed_by, parser.counts.other_pages, parser.counts.raw_pages) == ("zstd", 93, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (initial() + b"\x11\x22\x33\x45" + bytes(2000), "not a packet of multifd, version 1 (at byte 64)"),
        (MULTIFD_MAGIC + b"\0\0\0\2" + bytes(90), "not a packet of multifd, version 1 (at byte 0)"),
        (
            initial() + packet(1, bytes(4096), offsets=1 << 20),
            "a packet of multifd claims 1048576 offsets (at byte 64)",
        ),
        (initial() + packet(2, bytes(8192))[:5000], "the stream ended inside a record (at byte 1408)"),
    ],
    ids=["no packet", "another version", "too many offsets", "torn"],
)
def test_what_is_not_understood_is_carried_as_it_is_and_said(data, reason):
    parser = MultifdParser()
    assert b"".join(batch.raw for batch in feed(parser, data, [70, 900])) == data
    assert parser.opaque_reason == reason


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=4))
def test_anything_comes_out_as_it_is(data, cuts):
    whole = initial() + data
    parser = MultifdParser(1 << 14)
    assert b"".join(batch.raw for batch in feed(parser, whole, [cut % (len(whole) + 1) for cut in cuts])) == whole
