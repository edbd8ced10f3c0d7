"""A destination's word that it loaded the stream, found among all that it answers."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire.qemu.returnpath import ReturnPath


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HH", kind, len(payload)) + payload


def shut(value: int) -> bytes:
    return message(1, struct.pack(">I", value))


PONG = message(2, struct.pack(">I", 1))
PAGES = message(3, struct.pack(">QI", 4096, 4096) + b"\x06pc.ram") + message(4, struct.pack(">QI", 0, 4096))
BITMAP = message(5, b"\x06pc.ram") + struct.pack(">Q", 24) + shut(0) * 3 + struct.pack(">Q", 0x0123456789ABCDEF)


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        (shut(0), 0),
        (shut(1), 1),
        (PONG + PAGES + shut(0), 0),
        (BITMAP + PONG + shut(0), 0),
        (BITMAP, None),
        (message(99, shut(0)), None),
        (PONG, None),
        (shut(0)[:-1], None),
        (b"", None),
    ],
    ids=["loaded", "failed", "after-pages", "after-a-bitmap", "in-a-bitmap", "in-a-message", "pong", "torn", "nothing"],
)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_only_the_destinations_own_word_counts(answers: bytes, value: int | None, cuts: list[int]) -> None:
    path, at = ReturnPath(), 0
    for cut in [*sorted(cut % (len(answers) + 1) for cut in cuts), len(answers)]:
        path.receive_data(answers[at:cut])
        at = cut
    assert (path.shut, path.answers) == (value, len(answers))


@given(st.lists(st.binary(max_size=50)))
def test_anything_is_read_without_an_error_and_kept_nowhere(pieces: list[bytes]) -> None:
    path = ReturnPath()
    for piece in pieces:
        path.receive_data(piece)
    assert len(path._held) < 8
