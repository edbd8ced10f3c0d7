"""The walk that tells of every page: the same pages as the slow reference finds, with their blocks and addresses."""

from __future__ import annotations

from itertools import pairwise

import sample_streams
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.wire.qemu.walk import StreamWalk

KINDS = {"page": "raw", "zero": "zero", "xbzrle": "other", "compress": "other"}


def expected(data: bytes) -> list[tuple]:
    """Kind, block, address, contents and place of every page, by the reference parser alone."""
    found, block, stopped = [], "", False
    for kind, start, length in sample_streams.parse(data):
        stopped |= kind == "end"
        if kind in KINDS:
            word = int.from_bytes(data[start : start + 8], "big")
            if not word & sample_streams.CONTINUE:
                block = data[start + 9 : start + 9 + data[start + 8]].decode()
            page = data[start + length - 4096 : start + length] if kind == "page" else b""
            found.append((KINDS[kind], block, word & ~4095, page, start, stopped))
    return found


def walked(data: bytes, cuts: list[int]) -> list[tuple]:
    found = []

    def take(run) -> None:
        for number, address in enumerate(run.addresses.tolist()):
            page = run.pages[number].tobytes() if len(run.pages) else b""
            at = run.stream_at + number * run.stride
            found.append((run.kind, run.block, address, page, at, run.stopped))

    walk = StreamWalk(take)
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        walk.feed(data[start:end])
    return found


@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 400_000), max_size=8))
@settings(max_examples=50, deadline=None)
def test_every_page_is_told_with_its_place_wherever_the_stream_is_cut(seed, cuts):
    data = sample_streams.small_stream(seed, sections=3)
    assert walked(data, [cut % len(data) for cut in cuts]) == expected(data)


def test_the_machine_is_the_streams_own():
    walk = StreamWalk(lambda _: None)
    walk.feed(sample_streams.small_stream(1))
    assert walk.parser.machine == "pc-i440fx-7.2"
