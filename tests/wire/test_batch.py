"""Splitting a batch into plan and pages, and joining it again, gives the same bytes; a hostile plan gives an error."""

from __future__ import annotations

import struct
import zlib

import pytest
import sample_streams
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FrameError
from harness.wire.batch import PageBatch, join, split
from harness.wire.qemu.stream import QStreamParser


@given(seed=st.integers(0, 5000), size=st.sampled_from([16384, 131072]))
@settings(max_examples=40, deadline=None)
def test_join_undoes_split_for_every_batch_of_a_stream(seed: int, size: int) -> None:
    parser = QStreamParser(size)
    batches = parser.receive_data(sample_streams.small_stream(seed, sections=3))
    for batch in [*batches, parser.finish()]:
        if batch is not None:
            plan, pages = split(batch)
            assert len(pages) == batch.pages * 4096 or not batch.runs
            assert bytes(join(plan, pages, batch.raw_bytes, batch.page_bytes)) == bytes(batch.raw)


@given(
    gaps=st.lists(st.tuples(st.integers(8, 60), st.integers(1, 5)), min_size=1, max_size=8),
    tail=st.integers(0, 60),
    page_bytes=st.sampled_from([1024, 4096, 16384]),
)
@settings(max_examples=60, deadline=None)
def test_join_undoes_split_for_any_runs(gaps: list[tuple[int, int]], tail: int, page_bytes: int) -> None:
    runs, at = [], 0
    for gap, pages in gaps:
        runs.append((at + gap, pages))
        at += gap + pages * (page_bytes + 8) - 8
    raw = bytes(i * 7 % 251 for i in range(at + tail))
    batch = PageBatch(memoryview(raw), tuple(runs), page_bytes)
    plan, pages = split(batch)
    assert bytes(pages) == b"".join(raw[o + i * (page_bytes + 8) :][:page_bytes] for o, n in runs for i in range(n))
    assert bytes(join(plan, pages, len(raw), page_bytes)) == raw


def test_a_batch_without_pages_is_its_own_bytes() -> None:
    plan, pages = split(PageBatch(memoryview(b"opaque")))
    assert (plan, bytes(pages)) == (b"", b"opaque")
    assert bytes(join(plan, pages, 6, 4096)) == b"opaque"


def packed(runs: list[tuple[int, int]], gaps: bytes, count: int | None = None) -> bytes:
    table = b"".join(struct.pack("<II", gap, pages) for gap, pages in runs)
    return zlib.compress(struct.pack("<I", len(runs) if count is None else count) + table + gaps)


@pytest.mark.parametrize(
    "plan",
    [
        b"not deflate",
        packed([(8, 1)], b"12345678")[:-5],
        packed([(8, 1)], b"12345678") + b"x",
        packed([], b""),
        packed([(8, 1)], b"", count=1 << 30),
        packed([(8, 0)], b"12345678"),
        packed([(8, 2)], b"12345678"),
        packed([(9999, 1)], b"12345678"),
        packed([(0xFFFFFFFF, 0xFFFFFFFF)], b"12345678"),
        packed([(8, 1)], b"1234567"),
        zlib.compress(bytes(50 << 20)),
    ],
    ids=[
        "junk",
        "short",
        "trailing",
        "no-runs",
        "runs-beyond",
        "empty-run",
        "pages",
        "gap",
        "huge",
        "gaps-short",
        "bomb",
    ],
)
def test_a_hostile_plan_is_refused(plan: bytes) -> None:
    with pytest.raises(FrameError, match="batch plan"):
        join(plan, memoryview(bytes(4096)), 4104, 4096)


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(FrameError, match="batch of 7 bytes holds 6"):
        join(b"", memoryview(b"opaque"), 7, 4096)
