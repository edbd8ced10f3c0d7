"""A channel of QEMU's multifd, as 9.0 and later write it, piece by piece. Written from the format alone."""

from __future__ import annotations

import struct

MAGIC = b"\x11\x22\x33\x44"
OFFSETS = 128


def initial(number: int = 0) -> bytes:
    return MAGIC + struct.pack(">I16sB39x", 1, bytes(range(16)), number)


def packet(pages: int, payload: bytes, *, flags: int = 0, zero_pages: int = 0, offsets: int = OFFSETS) -> bytes:
    """As QEMU 9.0 and later write it; before, there are no zero pages in it."""
    head = struct.pack(">IIIIIQI28x256s", 1, flags, offsets, pages, len(payload), 7, zero_pages, b"pc.ram")
    return MAGIC + head + bytes(8 * OFFSETS) + payload


def sync(offsets: int = OFFSETS, payload_bytes: int = 0) -> bytes:
    """Only keeps channels in step. Since 9.1 it says that it has room for no offsets, and has it; in 7.2 it repeats the size of the
    last payload, and has none."""
    whole = bytearray(packet(0, b"", flags=1, offsets=offsets))
    whole[20:24] = payload_bytes.to_bytes(4)
    return bytes(whole)


def device_state(payload: bytes) -> bytes:
    return MAGIC + struct.pack(">II256sII", 1, 0x40, b"vfio", 0, len(payload)) + payload
