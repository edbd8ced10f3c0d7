"""Tells from the last bytes of QEMU's migration stream whether it is whole. No I/O; needs no knowledge of devices.

Behind the last section's footer QEMU writes an EOF byte, and mostly a description of its devices: JSON with its length before it.
A stream that was cut anywhere else does not end so.

    ... 0x7e u32 section_id   0x00   [0x06 u32 length, JSON]
"""

from __future__ import annotations

import struct
from collections import deque

from harness.wire.qemu.marks import EOF, FOOTER, VMDESCRIPTION

_FOOTER_BYTES, _LENGTH_BYTES = 5, 4
_KEPT_BYTES = 4 << 20
"""A "pc" describes its devices in 107 KB."""


class Tail:
    """Keeps the last pieces of a stream, uncopied; whoever cut them leaves them as they are."""

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._kept_bytes = 0

    def keep(self, piece: memoryview) -> None:
        """The stream's next piece."""
        self._pieces.append(piece)
        self._kept_bytes += len(piece)
        while self._kept_bytes - len(self._pieces[0]) >= _KEPT_BYTES:
            self._kept_bytes -= len(self._pieces.popleft())

    def is_whole(self) -> bool:
        """Whether the stream may end behind the last piece."""
        return is_whole(b"".join(self._pieces))


def is_whole(tail: bytes) -> bool:
    """Whether ``tail`` ends as a stream does: EOF behind a footer, with or without the description of devices."""
    return _ends_with_eof(tail, len(tail)) or any(_ends_with_eof(tail, at) for at in _descriptions(tail))


def _ends_with_eof(tail: bytes, end: int) -> bool:
    """Section numbers are small, so that the first byte of one is zero."""
    at = end - _FOOTER_BYTES - 1
    return at >= 0 and tail[at] == FOOTER and tail[at + 1] == 0 and tail[end - 1] == EOF


def _descriptions(tail: bytes) -> list[int]:
    """Where a description can begin that reaches to the end. JSON holds no zero byte, so the last one is in its length."""
    found, last_zero = [], tail.rfind(b"\0")
    for length_at in range(max(1, last_zero - _LENGTH_BYTES + 1), last_zero + 1):
        json_at = length_at + _LENGTH_BYTES
        head = tail[length_at - 1 : json_at + 1]
        length = struct.pack(">I", len(tail) - json_at) if json_at < len(tail) else b""
        if head == bytes([VMDESCRIPTION]) + length + b"{" and tail.endswith(b"}"):
            found.append(length_at - 1)
    return found
