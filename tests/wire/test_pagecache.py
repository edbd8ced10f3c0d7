"""What a cache makes relative is restored byte for byte, whatever the stream; a plan from a stranger does no harm."""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from collections.abc import Sequence

import pytest
import sample_streams
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FrameError
from harness.wire.batch import PageBatch
from harness.wire.pagecache import PagePlan, ReceiverCache, Relative, SenderCache
from harness.wire.qstream import QStreamParser

PAGE = 4096


def batches_of(data: bytes, batch_bytes: int, cuts: Sequence[int] = ()) -> list[PageBatch]:
    parser = QStreamParser(batch_bytes)
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    found = []
    for begin, end in itertools.pairwise(edges):
        found += parser.receive_data(memoryview(data)[begin:end])
    last = parser.finish()
    return [*found, last] if last is not None else found


def round_trip(batches: Sequence[PageBatch], cache_bytes: int) -> tuple[SenderCache, list[Relative]]:
    sender, receiver = SenderCache(cache_bytes, PAGE), ReceiverCache(cache_bytes, PAGE)
    sent = []
    for batch in batches:
        relative = sender.relative(batch)
        assert len(relative.body) == batch.raw_bytes
        plan = PagePlan.unpack(relative.plan, batch.raw_bytes, batch.page_bytes)
        raw = receiver.restore(plan, relative.body)
        assert raw == batch.raw
        receiver.put(plan, raw)
        sent.append(relative)
    return sender, sent


@given(
    seed=st.integers(0, 10_000),
    slots=st.sampled_from([1, 3, 16, 64, 1000]),
    batch_bytes=st.sampled_from([16384, 65536]),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=6),
)
@settings(max_examples=30, deadline=None)
def test_every_stream_survives_every_cache_however_it_is_cut(
    seed: int, slots: int, batch_bytes: int, cuts: list[int]
) -> None:
    rng = random.Random(seed)
    data = (
        sample_streams.rewritten_stream(rng, 24, 3, 40) if seed % 2 else sample_streams.small_stream(seed, sections=3)
    )
    round_trip(batches_of(data, batch_bytes, cuts), slots * PAGE)


def test_pages_rewritten_in_64_bytes_cost_a_tenth_in_later_passes() -> None:
    rng = random.Random(7)
    content = [bytearray(rng.randbytes(PAGE)) for _ in range(512)]

    def one_pass() -> bytes:
        for page in content:
            at = rng.randrange(PAGE - 64)
            page[at : at + 64] = rng.randbytes(64)
        return b"".join(sample_streams.raw_page(n * PAGE, bytes(page)) for n, page in enumerate(content))

    sender = SenderCache(4 << 20, PAGE)
    for number in range(3):
        data = one_pass()
        batch = PageBatch(memoryview(data), ((8, 512),))
        relative = sender.relative(batch)
        cost = len(zlib.compress(relative.body, 1)) + len(relative.plan)
        assert cost > 0.9 * len(data) if number == 0 else cost <= len(data) / 10
    assert sender.counts.hits == sender.counts.differences == 2 * 512


def test_a_page_equal_to_one_that_was_sent_is_sent_as_a_reference() -> None:
    page = random.Random(1).randbytes(PAGE)
    batches = [PageBatch(memoryview(sample_streams.raw_page(number * PAGE, page)), ((8, 1),)) for number in range(5)]
    sender, sent = round_trip(batches, 64 * PAGE)
    assert sender.counts.duplicates == 4
    assert all(not any(relative.body[8:]) for relative in sent[1:])


def test_a_page_that_is_nearly_new_is_sent_as_it_is() -> None:
    rng = random.Random(2)
    batches = [PageBatch(memoryview(sample_streams.raw_page(0, rng.randbytes(PAGE))), ((8, 1),)) for _ in range(3)]
    sender, sent = round_trip(batches, 64 * PAGE)
    assert (sender.counts.hits, sender.counts.differences) == (2, 0)
    assert all(relative.body == batch.raw for relative, batch in zip(sent, batches, strict=True))


def flat(*runs: tuple[int, int], kinds: bytes = b"", others: Sequence[int] = (), count: int | None = None) -> bytes:
    table = b"".join(struct.pack("<II", *run) for run in runs)
    head = struct.pack("<I", len(runs) if count is None else count)
    return head + table + kinds + b"".join(struct.pack("<I", other) for other in others)


@pytest.mark.parametrize(
    "plan",
    [
        b"",
        b"\0",
        b"\2" + flat(),
        b"\0" + flat(count=9),
        b"\0" + flat((8, 0)),
        b"\0" + flat((0, 1)),
        b"\0" + flat((8, 3)),
        b"\0" + flat((8, 0xFFFFFFFF)),
        b"\0" + flat((8, 1), (4000, 1)),
        b"\0" + flat((5000, 1), (8, 1)),
        b"\0" + flat((8, 2), kinds=b"\0"),
        b"\0" + flat((8, 2), kinds=b"\0\3"),
        b"\0" + flat((8, 2), kinds=b"\0\2"),
        b"\0" + flat((8, 2), kinds=b"\1\1", others=[1]),
        b"\1not deflated",
        b"\1" + zlib.compress(bytes(1 << 20)),
        b"\1" + zlib.compress(flat((8, 1))) + b"more",
        b"\1" + zlib.compress(flat((8, 1)))[:-3],
    ],
)
def test_a_plan_that_does_not_fit_its_batch_is_refused(plan: bytes) -> None:
    with pytest.raises(FrameError):
        PagePlan.unpack(plan, 2 * (PAGE + 8), PAGE)


def test_a_slot_that_there_is_not_is_refused() -> None:
    receiver = ReceiverCache(16 * PAGE, PAGE)
    plan = PagePlan.unpack(b"\0" + flat((8, 1), kinds=b"\2", others=[16]), PAGE + 8, PAGE)
    with pytest.raises(FrameError, match="slot 16 of 16"):
        receiver.restore(plan, memoryview(bytes(PAGE + 8)))


@given(plan=st.binary(max_size=80), runs=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3)), max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_plan_is_refused_or_restores_as_many_bytes(plan: bytes, runs: list[tuple[int, int]]) -> None:
    receiver, body = ReceiverCache(8 * PAGE, PAGE), memoryview(bytes(3 * PAGE))
    for packed in (plan, b"\0" + flat(*runs) + plan[:7], b"\1" + zlib.compress(flat(*runs) + plan[:3])):
        try:
            unpacked = PagePlan.unpack(packed, len(body), PAGE)
            raw = receiver.restore(unpacked, body)
        except FrameError:
            continue
        assert len(raw) == len(body)
        receiver.put(unpacked, raw)
