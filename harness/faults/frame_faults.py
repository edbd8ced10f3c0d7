"""What can happen to one message between the halves: each fault once. ``flipped`` is an accident; ``forged`` is a peer that lies,
and makes the header's digest right.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.faults.wire import Direction
from harness.wire.pair.frame import HEADER_BYTES, digest

_FIELDS = {
    "magic": (0, 4), "kind": (4, 1), "codec": (5, 1), "layout": (6, 1), "page-shift": (7, 1), "sequence": (8, 8),
    "raw-bytes": (16, 4), "body-bytes": (20, 4), "plan-bytes": (24, 4), "pages": (28, 4), "raw-digest": (32, 8),
    "body-digest": (40, 8), "reserved": (48, 8), "check": (56, 8),
}  # fmt: skip
"""Where each stands in a header, and its bytes."""
_BODY_DIGEST_AT, _CHECK_AT = 40, 56
_LATE_S = 0.3


@dataclass(frozen=True, slots=True)
class FrameFault:
    """``apply`` gets the message at hand, passes on what it likes, and says whether it could do what it is for."""

    title: str
    apply: Callable[[Direction, bytes], bool]


def _flipped(data: bytes, way: Direction, at: int, count: int) -> bytes:
    """One bit of those bytes."""
    changed = bytearray(data)
    changed[at + way.rng.randrange(count)] ^= 1 << way.rng.randrange(8)
    return bytes(changed)


def _checked(frame: bytes) -> bytes:
    """With the header's digest made right."""
    return frame[:_CHECK_AT] + struct.pack("<Q", digest(frame[:_CHECK_AT])) + frame[HEADER_BYTES:]


def _field(at: int, count: int, *, forged: bool) -> Callable[[Direction, bytes], bool]:
    def apply(way: Direction, frame: bytes) -> bool:
        changed = _flipped(frame, way, at, count)
        way.send(_checked(changed) if forged else changed)
        return True

    return apply


def _shorter(way: Direction, frame: bytes) -> bool:
    """A length of one byte less. One that is too long is only a peer that says nothing more, which no half can tell from one that
    waits for its QEMU."""
    at, count = _FIELDS["body-bytes"]
    length = int.from_bytes(frame[at : at + count], "little")
    said = (length - 1 if length else 1).to_bytes(count, "little")
    way.send(_checked(frame[:at] + said + frame[at + count :]))
    return True


def _body(*, forged: bool) -> Callable[[Direction, bytes], bool]:
    def apply(way: Direction, frame: bytes) -> bool:
        if len(frame) == HEADER_BYTES:
            way.send(frame)
            return False
        changed = _flipped(frame, way, HEADER_BYTES, len(frame) - HEADER_BYTES)
        if forged:
            said = struct.pack("<Q", digest(changed[HEADER_BYTES:]))
            changed = _checked(changed[:_BODY_DIGEST_AT] + said + changed[_BODY_DIGEST_AT + 8 :])
        way.send(changed)
        return True

    return apply


def cut(kept: float) -> Callable[[Direction, bytes], bool]:
    """The link breaks behind that share of the message."""

    def apply(way: Direction, frame: bytes) -> bool:
        way.send(frame[: int(len(frame) * kept)])
        way.cut()
        return True

    return apply


def _cut_for_good(way: Direction, _: bytes) -> bool:
    way.cut_for_good()
    return True


def _half_closed(way: Direction, _: bytes) -> bool:
    way.half_close()
    return True


def _doubled(way: Direction, frame: bytes) -> bool:
    way.send(frame + frame)
    return True


def _replayed(way: Direction, frame: bytes) -> bool:
    if not way.earlier:
        way.send(frame)
        return False
    way.send(way.rng.choice(way.earlier) + frame)
    return True


def _swapped(way: Direction, frame: bytes) -> bool:
    behind = way.take_soon()
    way.send((behind or b"") + frame)
    return behind is not None


def _dropped(way: Direction, _: bytes) -> bool:
    behind = way.take_soon()
    if behind is None:
        way.cut()  # a link that loses its last message is a link that breaks: TCP loses nothing in between
    else:
        way.send(behind)
    return True


def _with_garbage(way: Direction, frame: bytes) -> bool:
    way.send(way.rng.randbytes(HEADER_BYTES) + frame)
    return True


def _plain_to_tls(way: Direction, frame: bytes) -> bool:
    way.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + frame)
    return True


def _late(way: Direction, frame: bytes) -> bool:
    time.sleep(_LATE_S)
    way.send(frame)
    return True


def _in_pieces(way: Direction, frame: bytes) -> bool:
    """The header byte by byte, for what takes a whole one for granted."""
    for at in range(HEADER_BYTES):
        way.send(frame[at : at + 1])
        time.sleep(0.001)
    way.send(frame[HEADER_BYTES:])
    return True


FAULTS: dict[str, FrameFault] = {
    **{
        f"{name}-flipped": FrameFault(f"a bit of the header's {name} is flipped", _field(*where, forged=False))
        for name, where in _FIELDS.items()
    },
    **{
        f"{name}-forged": FrameFault(
            f"the header's {name} is another, and its digest right", _field(*where, forged=True)
        )
        for name, where in _FIELDS.items()
        if name not in ("check", "body-bytes")
    },
    "body-bytes-forged": FrameFault("the header's body-bytes is one less, and its digest right", _shorter),
    "body-flipped": FrameFault("a bit of the body is flipped", _body(forged=False)),
    "body-forged": FrameFault("the body is another, and its digest right", _body(forged=True)),
    "doubled": FrameFault("the message comes twice", _doubled),
    "replayed": FrameFault("an earlier message comes again before it", _replayed),
    "swapped": FrameFault("the next message comes before it", _swapped),
    "dropped": FrameFault("the message does not come, and those behind it do", _dropped),
    "garbage": FrameFault("64 random bytes come before it", _with_garbage),
    "tls": FrameFault("the beginning of a TLS handshake comes before it", _plain_to_tls),
    "late": FrameFault(f"it comes {_LATE_S:g} s late", _late),
    "in-pieces": FrameFault("its header comes byte by byte", _in_pieces),
    "cut-before": FrameFault("the link breaks before it", cut(0.0)),
    "cut-inside": FrameFault("the link breaks in the middle of it", cut(0.5)),
    "cut-behind": FrameFault("the link breaks behind it", cut(1.0)),
    "cut-for-good": FrameFault("the link breaks before it, and cannot be made again", _cut_for_good),
    "half-closed": FrameFault("the link's one direction ends before it", _half_closed),
}
