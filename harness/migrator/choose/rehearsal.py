"""Finds out what the link carries before a guest depends on it: trains of random bytes from the sender, of which the receiver says
when each part came and for how long it waited. Both halves are idle then, so that it costs a migration nothing.

Trains double until one took ``_LONG_ENOUGH_S`` or ``_MOST_BYTES`` were sent: some 60 ms of the link, 64 KiB at least. Over a
distance the kernel begins with little in each round trip (TCP's slow start), so that there a train is believed only if it took
several of them, or was hardly faster than the one before, which was half as long.
"""

from __future__ import annotations

import math
import os
import time

from harness.errors import PeerError
from harness.migrator.session import FrameLink
from harness.wire.pair.messages import Probe, Probed

_PART_BYTES = 32 << 10
_FIRST_PARTS, _MANY_PARTS = 2, 32
_LARGE_PART_BYTES = 64 << 10
"""As large as a control frame may be, once there are many: at 2.5 Gbit/s small ones kept the receiver so busy that it was taken for
the limit in 4 of 15 migrations, with larger ones in 2 of 15 (2-core Intel Xeon, 2026-11-26)."""

_LONG_ENOUGH_S = 0.03
"""What a link lets pass comes in lumps: of 64 KiB at 100 Mbit/s, 5 ms each. Trains of 15 ms had four of them, and gave 12.2 to 16.6
MB/s for 12.2 (2-core Intel Xeon, 2026-11-28, n=12)."""

_MOST_BYTES, _MOST_DISTANT_BYTES = 16 << 20, 64 << 20
_RECEIVER_WAITS = 0.3
_TIMEOUT_S = 10.0
_AHEAD_PARTS = 256
"""Parts without an answer yet, so that a train does not wait for its answers. Many more, and both ends could wait for room in each
other's socket buffers: these answers are 25 KB."""

_DISTANT_S = 0.002
_ROUND_TRIPS = 4
_SETTLED = 1.25
_PINGS = 2


def answer(link: FrameLink) -> None:
    """The receiver's word on a part that came."""
    link.send(Probed(link.waited_s, time.monotonic(), link.received_bytes))


def measure_round_trip_s(link: FrameLink) -> float:
    """Ask twice over the idle link, and give the shorter time there and back. :raises PeerError: as ``measure_bytes_per_s``."""
    took_s = math.inf
    for _ in range(_PINGS):
        began_s = time.monotonic()
        _send_train(link, b"", 1)
        took_s = min(took_s, time.monotonic() - began_s)
    return took_s


def measure_bytes_per_s(link: FrameLink, round_trip_s: float = 0.0) -> float | None:
    """Send trains, and give what the link carried; None: it was not the limit. :raises PeerError: it broke, or stood still."""
    body, parts, sent = os.urandom(_PART_BYTES), _FIRST_PARTS, 0
    near, before = round_trip_s < _DISTANT_S, 0.0
    while True:
        looks = _send_train(link, body, parts)
        sent += parts * len(body)
        took_s, rate = looks[-1].now_s - looks[0].now_s, _rate(looks, near=near)
        settled = took_s >= _ROUND_TRIPS * round_trip_s or rate is None or rate <= _SETTLED * before
        if (took_s >= _LONG_ENOUGH_S and (near or settled)) or sent >= (_MOST_BYTES if near else _MOST_DISTANT_BYTES):
            return rate
        before = rate or 0.0
        if parts >= _MANY_PARTS and len(body) < _LARGE_PART_BYTES:
            body += body
        else:
            parts *= 2


def _send_train(link: FrameLink, body: bytes, parts: int) -> list[Probed]:
    probe, told, sent = Probe(body), list[Probed](), 0
    while len(told) < parts:
        while sent < min(parts, len(told) + _AHEAD_PARTS):
            link.send(probe)
            sent += 1
        look = link.next_as(Probed, _TIMEOUT_S)
        if told and _falls(told[-1], look):
            raise PeerError(
                "the receiver's account of the probes runs backwards; install the same pageferry on both sides"
            )
        told.append(look)
    return told


def _falls(before: Probed, look: Probed) -> bool:
    return look.now_s < before.now_s or look.waited_s < before.waited_s or look.received_bytes < before.received_bytes


def _rate(looks: list[Probed], *, near: bool) -> float | None:
    """Of the train's second half: the first may have passed in a burst. Or the whole train's, if that is less: the half may begin
    behind a lump. Over a distance the first half is slow for another reason."""
    middle = looks[(len(looks) - 1) // 2]
    rates = [_rate_since(first, looks[-1]) for first in ((middle, looks[0]) if near else (middle,))]
    return None if None in rates else min(filter(None, rates))


def _rate_since(first: Probed, last: Probed) -> float | None:
    took_s = last.now_s - first.now_s
    if took_s <= 0 or last.waited_s - first.waited_s < _RECEIVER_WAITS * took_s:
        return None
    return (last.received_bytes - first.received_bytes) / took_s
