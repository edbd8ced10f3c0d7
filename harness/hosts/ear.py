"""What a guest says on a socket, each piece of it with when it came: stamped here, or by an agent where the socket is.

An agent stamps each piece by its host's wall clock, and sends what came over ``HOLD_S`` in one go: the migration under measurement
would pay for every message.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Iterator

from harness.errors import FrameError

GATHER_S = 0.001
"""A heartbeat's ten bytes come from QEMU one by one. Read together they cost one wake-up, not ten: a thousand a second and
guest, which the migration under measurement would pay for. Arrivals are stamped that much late, all alike.
"""
HOLD_S = 0.2
_READ_BYTES = 1 << 16
_HEAD = struct.Struct(">dI")
"""When it came, by the wall clock there in seconds, and how many bytes follow."""

Piece = tuple[float, bytes]
"""When it came (``time.monotonic()`` here), and the bytes."""


class Ear:
    """A connected socket, which is this object's from now on; what comes is stamped when it is read."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def fileno(self) -> int:
        """To wait at, until something has come."""
        return self._end.fileno()

    def hear(self) -> list[Piece] | None:
        """What has come; None: the other end has closed."""
        data = self._received()
        return [(time.monotonic(), data)] if data else None

    def send(self, data: bytes) -> None:
        """To the guest. :raises OSError: nobody is there."""
        self._end.sendall(data)

    def close(self) -> None:
        """Safe to call twice."""
        self._end.close()

    def _received(self) -> bytes:
        try:
            return self._end.recv(_READ_BYTES)
        except ConnectionError:
            return b""


class FarEar(Ear):
    """Its bytes are pieces that were ``stamped`` at ``host``, whose wall clock is ``ahead_s`` ahead of ours."""

    def __init__(self, end: socket.socket, ahead_s: float, host: str) -> None:
        super().__init__(end)
        self._ahead_s, self._host = ahead_s, host
        self._came = bytearray()

    def hear(self) -> list[Piece] | None:
        """Of those pieces that have come whole. :raises FrameError: they are none that an agent stamps."""
        data = self._received()
        if not data:
            return None
        self._came += data
        ahead_s = self._ahead_s + time.time() - time.monotonic()
        return [(at_s - ahead_s, piece) for at_s, piece in self._whole()]

    def _whole(self) -> Iterator[Piece]:
        while len(self._came) >= _HEAD.size:
            at_s, size = _HEAD.unpack_from(self._came)
            if size > _READ_BYTES or not math.isfinite(at_s):
                raise FrameError(
                    f"{self._host}: its agent tells of {size} bytes from a guest's console at {at_s:g} s, and no agent tells of "
                    f"more than {_READ_BYTES} at once: pageferry hosts prepare {self._host} puts this pageferry there anew"
                )
            end = _HEAD.size + size
            if len(self._came) < end:
                return
            piece = bytes(self._came[_HEAD.size : end])
            del self._came[:end]
            yield at_s, piece


def stamped(end: socket.socket) -> Iterator[bytes]:
    """Pieces of what comes from ``end`` until it closes, for a ``FarEar``: what came over ``HOLD_S`` at a time.

    :raises OSError: it is cut.
    """
    poll, held, due_s = select.poll(), bytearray(), 0.0
    with end.dup() as mine:  # whoever closes the other may not have its number given to a third while we wait
        poll.register(mine, select.POLLIN)
        while True:
            left_s = due_s - time.monotonic()
            if held and (left_s <= 0 or len(held) >= _READ_BYTES or not poll.poll(left_s * 1000)):
                yield bytes(held)
                held.clear()
                continue
            if not held:
                poll.poll()
                due_s = time.monotonic() + HOLD_S
            time.sleep(GATHER_S)
            if not (data := mine.recv(_READ_BYTES)):
                break
            held += _HEAD.pack(time.time(), len(data)) + data
    if held:
        yield bytes(held)
