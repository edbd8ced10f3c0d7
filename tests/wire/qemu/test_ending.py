"""What tells a whole stream from a torn one."""

from __future__ import annotations

import random

import pytest
import sample_streams
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.qemu.ending import Tail, is_whole

SECTION = sample_streams.full_section(45, "dev", b"state")
DESCRIPTION = {"page_size": 4096, "devices": [{"name": "x" * 300}]}


@pytest.mark.parametrize(
    ("tail", "whole"),
    [
        (SECTION + sample_streams.eof(), True),
        (SECTION + sample_streams.eof() + sample_streams.vmdescription(DESCRIPTION), True),
        (SECTION + sample_streams.eof() + sample_streams.vmdescription({"n": "y" * 256}), True),
        (SECTION, False),
        (SECTION + sample_streams.eof() + sample_streams.vmdescription(DESCRIPTION)[:-1], False),
        (SECTION + sample_streams.eof() + sample_streams.vmdescription(DESCRIPTION)[:5], False),
        (SECTION + sample_streams.vmdescription(DESCRIPTION), False),
        (sample_streams.eof() + sample_streams.vmdescription(DESCRIPTION), False),
        (bytes(4096), False),
        (b"", False),
    ],
    ids=[
        "eof",
        "described",
        "length-with-zeros",
        "section",
        "torn",
        "no-json",
        "no-eof",
        "no-footer",
        "zeros",
        "empty",
    ],
)
def test_a_stream_is_whole_behind_its_eof_or_its_description(tail: bytes, whole: bool) -> None:
    assert is_whole(b"\x07" * 20 + tail) == whole if tail else not is_whole(tail)


@given(st.binary(max_size=200), st.lists(st.integers(0, 2000), max_size=5))
def test_pieces_say_what_the_whole_says(head: bytes, cuts: list[int]) -> None:
    data = head + SECTION + sample_streams.eof() + sample_streams.vmdescription(DESCRIPTION)
    tail, at = Tail(), 0
    for cut in [*sorted(cut % len(data) for cut in cuts), len(data)]:
        tail.keep(memoryview(data)[at:cut])
        at = cut
    assert tail.is_whole()


def test_what_is_kept_is_bounded_and_enough() -> None:
    tail, piece = Tail(), memoryview(random.Random(1).randbytes(1 << 20))
    for _ in range(50):
        tail.keep(piece)
    assert sum(len(kept) for kept in tail._pieces) <= 5 << 20
    tail.keep(memoryview(SECTION + sample_streams.eof() + sample_streams.vmdescription({"n": "y" * (3 << 20)})))
    assert tail.is_whole()
