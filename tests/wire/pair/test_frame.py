"""Frames survive any cut; any damage to a header, and any size beyond its bound, is refused before anything is allocated."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FrameError
from harness.wire.pair.frame import HEADER_BYTES, FrameDecoder, Header, Kind, Layout, control, digest, encode

BODY = b"\x01" * 700
BATCH = Header(Kind.BATCH, 3, 1, Layout.PACKED, 12, 8208, 700, 30, 2, digest(b"raw"), digest(BODY))


@given(cuts=st.lists(st.integers(0, 1700), max_size=8), text=st.binary(max_size=800))
@settings(max_examples=60, deadline=None)
def test_frames_come_out_as_they_went_in_wherever_they_are_cut(cuts: list[int], text: bytes) -> None:
    data = encode(BATCH) + BODY + control(Kind.HELLO, text, sequence=9, delivered_bytes=2**40) + control(Kind.ACK)
    decoder, frames = FrameDecoder(), []
    for start, end in pairwise([0, *sorted(cut % len(data) for cut in cuts), len(data)]):
        frames += decoder.receive_data(data[start:end])
    assert [frame.header.kind for frame in frames] == [Kind.BATCH, Kind.HELLO, Kind.ACK]
    assert frames[0].header == BATCH
    assert bytes(frames[0].body) == BODY
    assert (bytes(frames[1].body), frames[1].header.sequence, frames[1].header.raw_digest) == (text, 9, 2**40)
    assert decoder.idle


@given(bit=st.integers(0, HEADER_BYTES * 8 - 1))
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_of_a_header_is_noticed(bit: int) -> None:
    head = bytearray(encode(BATCH))
    head[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError, match="at byte 0 of the link"):
        FrameDecoder().receive_data(bytes(head))


@given(junk=st.binary(min_size=HEADER_BYTES, max_size=300))
@settings(max_examples=60, deadline=None)
def test_junk_is_refused_with_its_place(junk: bytes) -> None:
    with pytest.raises(FrameError, match="at byte 0 of the link: not a pageferry frame"):
        FrameDecoder().receive_data(junk)


@pytest.mark.parametrize(
    "change",
    [
        {"body_bytes": 2**32 - 1},
        {"raw_bytes": 2**32 - 1},
        {"raw_bytes": 0},
        {"raw_bytes": 1, "body_bytes": 1026},
        {"plan_bytes": 701},
        {"page_shift": 3},
        {"pages": 2**31},
        {"layout": Layout.STORED},
        {"kind": Kind.HELLO, "body_bytes": 1 << 20},
    ],
    ids=str,
)
def test_sizes_are_checked_before_anything_is_allocated(change: dict[str, int]) -> None:
    head = encode(replace(BATCH, **change))
    tracemalloc.start()
    with pytest.raises(FrameError, match="at byte 0 of the link"):
        FrameDecoder().receive_data(head)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 18


def test_a_kind_from_the_future_says_so() -> None:
    head = bytearray(encode(BATCH))
    head[4] = 77
    head[-8:] = digest(head[:-8]).to_bytes(8, "little")
    with pytest.raises(FrameError, match="newer version"):
        FrameDecoder().receive_data(bytes(head))


def test_a_damaged_body_is_noticed_by_its_digest() -> None:
    (frame,) = FrameDecoder().receive_data(encode(BATCH) + BODY[:-1] + b"\x02")
    with pytest.raises(FrameError, match="BATCH frame 3: its 700 bytes were damaged"):
        frame.check_body(digest(frame.body))
