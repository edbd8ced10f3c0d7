"""Batches that are held come together with the one that ends them, and in no other order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from frames import stored

from backends.api import MOST_HELD_BYTES
from harness.errors import FrameError
from harness.migrator.carry.groups import Groups
from harness.wire.pair.messages import Batch, Layout


def batch(sequence: int, layout: Layout = Layout.PACKED, codec: int = 1, raw_bytes: int = 100) -> Batch:
    return replace(stored(b"abc", sequence), layout=layout, codec=codec, raw_bytes=raw_bytes)


def test_each_group_is_one_turn_of_its_codec():
    groups = Groups([1, 4])
    layouts = [Layout.PACKED, Layout.HELD, Layout.HELD, Layout.PACKED, Layout.STORED, Layout.PACKED, Layout.PACKED]
    codecs = [1, 1, 1, 1, 0, 4, 2]
    came = [batch(n, layout, codec) for n, (layout, codec) in enumerate(zip(layouts, codecs, strict=True))]
    got = [groups.add(each) for each in came]
    assert got == [
        ((came[0],), 0), None, None, ((came[1], came[2], came[3]), 1), ((came[4],), 0), ((came[5],), 0), ((came[6],), 0),
    ]  # fmt: skip
    groups.require_whole()


@pytest.mark.parametrize(
    ("came", "says"),
    [
        ([batch(1)], "batch 1 came where 0 was due"),
        ([batch(0), batch(0)], "batch 0 came where 1 was due"),
        ([batch(0, Layout.HELD, codec=2)], "batch 0 is held by codec 2, which keeps no history or was not agreed on"),
        ([batch(0, Layout.HELD), batch(1, codec=2)], "batch 1 is of another codec than batch 0, which was held"),
        ([batch(0, Layout.HELD), batch(1, Layout.STORED)], "batch 1 is of another codec than batch 0, which was held"),
        (
            [batch(n, Layout.HELD, raw_bytes=3 << 20) for n in range(3)],
            f"batch 2: {9 << 20} bytes are held, and may be at most {MOST_HELD_BYTES}",
        ),
    ],
)
def test_what_cannot_come_is_refused_in_a_line(came, says):
    groups = Groups([1])
    for each in came[:-1]:
        groups.add(each)
    with pytest.raises(FrameError, match=says):
        groups.add(came[-1])


def test_a_stream_does_not_end_behind_a_held_batch():
    groups = Groups([1])
    groups.add(batch(0, Layout.HELD))
    with pytest.raises(FrameError, match="the stream ended behind batch 0, which was held"):
        groups.require_whole()


def test_after_a_group_as_much_may_be_held_again():
    groups = Groups([1])
    for at in range(0, 6, 3):
        assert groups.add(batch(at, Layout.HELD, raw_bytes=4 << 20)) is None
        assert groups.add(batch(at + 1, Layout.HELD, raw_bytes=4 << 20)) is None
        assert groups.add(batch(at + 2)) is not None
