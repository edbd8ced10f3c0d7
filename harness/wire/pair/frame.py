"""How a message travels: a header of 64 bytes and a body. No I/O. What the body of each kind holds is ``messages``'.

    frame  := header (little-endian) body
    header := magic "PFR1", u8 kind, u8 codec, u8 layout, u8 page_shift, u64 sequence,
              u32 raw_bytes, u32 body_bytes, u32 plan_bytes, u32 pages, u64 raw_digest, u64 body_digest, u64 reserved (0),
              u64 XXH3-64 of the header before it

Only a BATCH has fields of its own there, so that its body is nothing but data; in all other frames they are 0. ``body_digest`` is
XXH3-64 of the body as it travels.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

import xxhash

from harness.errors import FrameError

_HEADER = struct.Struct("<4sBBBBQIIIIQQQQ")
_MAGIC = b"PFR1"
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a message is, by its number on the link."""

    __hash__ = int.__hash__  # an enumeration's own is written in Python, and each message looks a dozen up

    HELLO = 1
    BATCH = 2
    END = 3
    ERROR = 4
    WELCOME = 5
    RETURN = 6
    RETURN_END = 7
    ACK = 8
    DONE = 9
    PROBE = 10
    PROBED = 11
    PREPARE = 12
    PREPARED = 13
    CHALLENGE = 14
    RESPONSE = 15
    PROOF = 16
    JOIN = 17
    ASK = 18
    VERDICT = 19


class Header(NamedTuple):
    """Its fields in their order, without what every header has alike."""

    kind: Kind
    codec: int = 0
    layout: int = 0
    page_shift: int = 0
    sequence: int = 0
    raw_bytes: int = 0
    body_bytes: int = 0
    plan_bytes: int = 0
    pages: int = 0
    raw_digest: int = 0
    body_digest: int = 0


def digest(data: bytes | bytearray | memoryview, *more: bytes | memoryview) -> int:
    """XXH3-64 of all together, as in every digest of a header."""
    if not more:
        return xxhash.xxh3_64_intdigest(data)
    state = xxhash.xxh3_64(data)
    for part in more:
        state.update(part)
    return state.intdigest()


def encode_header(header: Header) -> bytes:
    """Its 64 bytes."""
    head = _HEADER.pack(_MAGIC, *header, 0, 0)[:-8]
    return head + digest(head).to_bytes(8, "little")


def tls_hint(data: bytes | bytearray) -> str:
    """What to do where this is how a record of TLS begins, an alert or a handshake (RFC 8446, 5.1); else nothing."""
    return "; the other end speaks TLS: give --tls here too" if data[0] in {21, 22} and data[1] == 3 else ""


def decode_header(data: bytes | bytearray, position: int) -> Header:
    """The 64 bytes that start at byte ``position`` of the link; what its fields say is not checked yet.

    :raises FrameError: they are no header, or one that was damaged, or of no kind that we know.
    """
    magic, kind, *fields, zero, check = _HEADER.unpack(data)
    where = f"at byte {position} of the link"
    if magic != _MAGIC:
        hint = tls_hint(data) or "; is the other end pageferry, of this version?"
        raise FrameError(f"{where}: not a pageferry frame (begins {magic!r}){hint}")
    if check != digest(memoryview(data)[:-8]) or zero:
        raise FrameError(f"{where}: a frame's header was damaged on the way")
    try:
        return Header(Kind(kind), *fields)
    except ValueError as exc:
        raise FrameError(f"{where}: a frame of the unknown kind {kind}; is the other end of a newer version?") from exc
