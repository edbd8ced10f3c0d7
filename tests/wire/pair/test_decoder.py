"""A whole session comes out as it went in, wherever it is cut; damage and junk are refused with their place on the link."""

from __future__ import annotations

from itertools import pairwise

import pytest
from frames import EXAMPLES, HELLO, raw, stored, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FrameError
from harness.wire.pair.decoder import MessageDecoder
from harness.wire.pair.forms import Message, Role
from harness.wire.pair.frame import HEADER_BYTES, Header, Kind, decode_header, digest, encode_header
from harness.wire.pair.messages import End, Prepare, Probe
from harness.wire.pair.states import Session

SAID = [HELLO, Probe(b""), Probe(bytes(500)), Prepare(1), stored(b"a" * 700), stored(b"b", 1), End(2, 701, bytes(16))]


def decoder() -> MessageDecoder:
    """Of a receiver that has answered the greeting already."""
    return MessageDecoder(_Forthcoming())


class _Forthcoming(Session):
    def __init__(self) -> None:
        super().__init__(Role.SENDER)

    def came(self, kind: Kind) -> None:
        super().came(kind)
        if kind is Kind.HELLO:
            self.says(Kind.WELCOME)


def fed(into: MessageDecoder, data: bytes) -> list[Message]:
    said, rest = [], memoryview(data)
    while rest:
        room = into.get_buffer()
        assert room
        count = min(len(room), len(rest))
        room[:count], rest = rest[:count], rest[count:]
        into.buffer_updated(count)
        if (message := into.next_message()) is not None:
            said.append(message)
    return said


@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_messages_come_out_as_they_went_in_wherever_they_are_cut(cuts: list[int]) -> None:
    data, into = b"".join(map(whole, SAID)), decoder()
    said = []
    for start, end in pairwise([0, *sorted(cut % len(data) for cut in cuts), len(data)]):
        said += fed(into, data[start:end])
    assert said == SAID
    assert into.idle


@given(bit=st.integers(0, HEADER_BYTES * 8 - 1))
@settings(max_examples=100, deadline=None)
def test_any_flipped_bit_of_a_header_is_noticed(bit: int) -> None:
    head = bytearray(whole(HELLO)[:HEADER_BYTES])
    head[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError, match="at byte 0 of the link"):
        fed(decoder(), bytes(head))


@given(junk=st.binary(min_size=HEADER_BYTES, max_size=300))
@settings(max_examples=60, deadline=None)
def test_junk_is_refused_with_its_place(junk: bytes) -> None:
    with pytest.raises(FrameError, match="at byte 0 of the link: not a pageferry frame"):
        fed(decoder(), junk)


def test_a_kind_from_the_future_says_so() -> None:
    head = encode_header(Header(77))
    with pytest.raises(
        FrameError, match="at byte 0 of the link: a frame of the unknown kind 77; is the other end of a newer"
    ):
        decode_header(head, 0)


def test_what_cannot_be_is_told_with_who_said_it_and_where() -> None:
    data = whole(HELLO) + raw(Kind.PREPARE, b"")
    with pytest.raises(
        FrameError, match=f"the sender's PREPARE at byte {len(whole(HELLO))} of the link: a body of 0 bytes"
    ):
        fed(decoder(), data)
    damaged = whole(EXAMPLES[Kind.PREPARE])[:-1] + b"\7"
    with pytest.raises(FrameError, match=r"the sender's PREPARE at byte .* its 1 bytes were damaged on the way"):
        fed(decoder(), whole(HELLO) + damaged)


def test_a_batchs_body_is_for_who_restores_it_to_check() -> None:
    into = decoder()
    _, batch = fed(into, whole(HELLO) + whole(stored(b"abc"))[:-1] + b"d")
    with pytest.raises(FrameError, match="batch 0: its 3 bytes were damaged on the way"):
        batch.require_undamaged(digest(batch.parts[0]))


def test_the_link_may_not_end_inside_a_message() -> None:
    into = decoder()
    assert into.idle
    fed(into, whole(HELLO)[:-1])
    assert not into.idle
