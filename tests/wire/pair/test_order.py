"""What may come when: sessions as they are, and any other frame anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FrameError
from harness.wire.pair.frame import Kind
from harness.wire.pair.order import Order

SESSION = [
    ("sender", Kind.HELLO), ("receiver", Kind.WELCOME), ("sender", Kind.PROBE), ("receiver", Kind.PROBED),
    ("sender", Kind.PREPARE), ("receiver", Kind.PREPARED), ("sender", Kind.BATCH),
    ("receiver", Kind.RETURN), ("receiver", Kind.ACK), ("sender", Kind.BATCH), ("receiver", Kind.RETURN_END),
    ("sender", Kind.END), ("receiver", Kind.ACK), ("receiver", Kind.DONE),
]  # fmt: skip


def told(order: Order, other: str, speaker: str, kind: Kind) -> None:
    order.came(kind) if speaker == other else order.sent(kind)


@pytest.mark.parametrize("other", ["sender", "receiver"])
def test_a_whole_session_is_in_order(other: str) -> None:
    order = Order(other)
    for speaker, kind in SESSION:
        told(order, other, speaker, kind)


@pytest.mark.parametrize(
    ("other", "after", "kind"),
    [
        ("receiver", 1, Kind.RETURN),
        ("receiver", 2, Kind.RETURN),
        ("receiver", 2, Kind.ACK),
        ("receiver", 7, Kind.DONE),
        ("receiver", 7, Kind.PROBED),
        ("receiver", 11, Kind.RETURN_END),
        ("receiver", 14, Kind.DONE),
        ("receiver", 7, Kind.BATCH),
        ("sender", 0, Kind.BATCH),
        ("sender", 2, Kind.HELLO),
        ("sender", 5, Kind.PREPARE),
        ("sender", 7, Kind.PROBE),
        ("sender", 7, Kind.ACK),
        ("sender", 12, Kind.BATCH),
        ("sender", 12, Kind.END),
    ],
)
def test_a_frame_that_may_not_come_now_is_refused_by_name(other: str, after: int, kind: Kind) -> None:
    order = Order(other)
    for speaker, each in SESSION[:after]:
        told(order, other, speaker, each)
    with pytest.raises(FrameError, match=f"the {other} sent a(?: second)? {kind.name} frame"):
        order.came(kind)


@given(st.sampled_from(["sender", "receiver"]), st.lists(st.tuples(st.booleans(), st.sampled_from(Kind)), max_size=40))
def test_an_error_may_come_at_any_time(other: str, steps: list[tuple[bool, Kind]]) -> None:
    order = Order(other)
    for sends, kind in steps:
        if sends:
            order.sent(kind)
            continue
        try:
            order.came(kind)
        except FrameError:
            break
    order.came(Kind.ERROR)
