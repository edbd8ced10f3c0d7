"""Our frames on the link. Sans-I/O: ``FrameDecoder`` takes bytes and gives frames; ``encode`` gives a header.

    frame  := header (64 bytes, little-endian) body
    header := magic "PFR1", u8 kind, u8 codec, u8 layout, u8 page_shift, u64 sequence,
              u32 raw_bytes, u32 body_bytes, u32 plan_bytes, u32 pages, u64 raw_digest, u64 body_digest, u64 reserved (0),
              u64 XXH3-64 of the header before it

``raw_digest`` is XXH3-64 of the stream bytes that the body restores to; ``body_digest`` is that of the body as it travels. Every
field is checked against its bound before a byte is allocated for the body. Which kind may come when is ``order``'s.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import xxhash

from harness.errors import FrameError

__all__ = [
    "HEADER_BYTES",
    "KIND_AT",
    "MAX_RAW_BYTES",
    "PROTOCOL",
    "Frame",
    "FrameDecoder",
    "Header",
    "Kind",
    "Layout",
    "digest",
    "encode",
]

PROTOCOL = 1
MAX_RAW_BYTES = (4 << 20) + (1 << 18)
"""No batch restores to more: ``backends.api.MAX_BATCH_BYTES`` and the records around its pages."""
_MAX_CONTROL_BYTES = 1 << 16

_HEADER = struct.Struct("<4sBBBBQIIIIQQQQ")
_MAGIC = b"PFR1"
HEADER_BYTES = _HEADER.size
KIND_AT = len(_MAGIC)
"""Where in a frame its kind stands."""


class Kind(IntEnum):
    """What a frame is."""

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


class Layout(IntEnum):
    """How a BATCH's body restores: STORED is the slice itself; PACKED is a plan and a codec's output (``wire.batch``)."""

    STORED = 0
    PACKED = 1


@dataclass(frozen=True, slots=True)
class Header:
    """One frame's fields. A PREPARE names a codec; of an ACK or END ``sequence`` counts batches and ``raw_digest`` is
    the bytes delivered so far."""

    kind: Kind
    sequence: int = 0
    codec: int = 0
    layout: Layout = Layout.STORED
    page_shift: int = 12
    raw_bytes: int = 0
    body_bytes: int = 0
    plan_bytes: int = 0
    pages: int = 0
    raw_digest: int = 0
    body_digest: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """A header and its body; a BATCH's digest is not checked yet (``check_body``)."""

    header: Header
    body: memoryview

    def check_body(self, body_digest: int) -> None:
        """``body_digest``: as computed from ``body``. :raises FrameError: the body is not what was sent."""
        if body_digest != self.header.body_digest:
            raise FrameError(
                f"{self.header.kind.name} frame {self.header.sequence}: its {len(self.body)} bytes were damaged on the way"
            )


def digest(data: bytes | bytearray | memoryview, *more: bytes | memoryview) -> int:
    """XXH3-64 of all together, as in both digest fields."""
    if not more:
        return xxhash.xxh3_64_intdigest(data)
    state = xxhash.xxh3_64(data)
    for part in more:
        state.update(part)
    return state.intdigest()


def encode(header: Header) -> bytes:
    """The header's 64 bytes."""
    head = _HEADER.pack(
        _MAGIC, header.kind, header.codec, header.layout, header.page_shift, header.sequence, header.raw_bytes,
        header.body_bytes, header.plan_bytes, header.pages, header.raw_digest, header.body_digest, 0, 0,
    )[:-8]  # fmt: skip
    return head + digest(head).to_bytes(8, "little")


def grown_bytes(raw_bytes: int) -> int:
    """The largest body of a batch: only one that a codec keeps in its history, and that cannot shrink, is larger than its slice."""
    return raw_bytes + raw_bytes // 128 + 1024


def control(kind: Kind, body: bytes = b"", *, sequence: int = 0, delivered_bytes: int = 0, codec: int = 0) -> bytes:
    """A whole small frame: of any kind but BATCH."""
    header = Header(
        kind,
        sequence=sequence,
        codec=codec,
        body_bytes=len(body),
        raw_digest=delivered_bytes,
        body_digest=digest(body) if body else 0,
    )
    return encode(header) + body


def decode_header(data: bytes | bytearray, position: int) -> Header:
    """Check and read 64 bytes that start at byte ``position`` of the link. :raises FrameError: naming the field."""
    (magic, kind, codec, layout, page_shift, sequence, raw_bytes, body_bytes, plan_bytes, pages, raw_digest,
     body_digest, zero, check) = _HEADER.unpack(data)  # fmt: skip
    where = f"at byte {position} of the link"
    if magic != _MAGIC:
        raise FrameError(
            f"{where}: not a pageferry frame (begins {magic!r}); is the other end pageferry, of this version?"
        )
    if check != digest(memoryview(data)[:-8]) or zero:
        raise FrameError(f"{where}: a frame's header was damaged on the way")
    try:
        header = Header(
            Kind(kind),
            sequence,
            codec,
            Layout(layout),
            page_shift,
            raw_bytes,
            body_bytes,
            plan_bytes,
            pages,
            raw_digest,
            body_digest,
        )
    except ValueError as exc:
        raise FrameError(f"{where}: {exc}; is the other end of a newer version?") from exc
    _check_bounds(header, where)
    return header


def _check_bounds(header: Header, where: str) -> None:
    limit = MAX_RAW_BYTES if header.kind is Kind.BATCH else _MAX_CONTROL_BYTES
    if header.raw_bytes > limit or header.body_bytes > grown_bytes(limit):
        raise FrameError(
            f"{where}: a {header.kind.name} frame claims {header.body_bytes} bytes for {header.raw_bytes}; the most is {limit}"
        )
    if (
        header.plan_bytes > header.body_bytes
        or not 10 <= header.page_shift <= 16
        or header.pages << header.page_shift > limit
    ):
        raise FrameError(
            f"{where}: plan of {header.plan_bytes} bytes, {header.pages} pages of 2^{header.page_shift} bytes: out of bounds"
        )
    if header.kind is Kind.BATCH and (header.raw_bytes == 0 or header.body_bytes > grown_bytes(header.raw_bytes)):
        raise FrameError(f"{where}: a batch of {header.raw_bytes} bytes travels as {header.body_bytes}")
    if header.kind is Kind.BATCH and header.layout is Layout.STORED and header.body_bytes != header.raw_bytes:
        raise FrameError(f"{where}: a stored batch of {header.raw_bytes} bytes travels as {header.body_bytes}")


class FrameDecoder:
    """Feed it through ``get_buffer`` and ``buffer_updated`` (no copy), or ``receive_data``; take ``next_frame`` until None."""

    def __init__(self) -> None:
        self._head = bytearray(HEADER_BYTES)
        self._header: Header | None = None
        self._body = memoryview(b"")
        self._fill = 0
        self._position = 0

    @property
    def idle(self) -> bool:
        """No frame has begun: the link may end here."""
        return self._header is None and self._fill == 0

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty, never past the end of the frame."""
        target = memoryview(self._head) if self._header is None else self._body
        return target[self._fill :]

    def buffer_updated(self, count: int) -> None:
        """``count`` bytes were written there. :raises FrameError: they make an impossible header."""
        self._fill += count
        self._position += count
        if self._header is None and self._fill == HEADER_BYTES:
            self._header = decode_header(self._head, self._position - HEADER_BYTES)
            self._body = memoryview(np.empty(self._header.body_bytes, dtype=np.uint8).data)
            self._fill = 0

    def next_frame(self) -> Frame | None:
        """The frame that is complete, or None. :raises FrameError: it was damaged, and is no BATCH."""
        if self._header is None or self._fill < self._header.body_bytes:
            return None
        frame = Frame(self._header, self._body)
        if frame.header.kind is not Kind.BATCH:
            frame.check_body(digest(frame.body) if frame.body else 0)
        self._header, self._body, self._fill = None, memoryview(b""), 0
        return frame

    def receive_data(self, data: bytes | memoryview) -> list[Frame]:
        """Take ``data`` and give the frames that it completed."""
        frames: list[Frame] = []
        rest = memoryview(data)
        while rest:
            room = self.get_buffer()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self.buffer_updated(count)
            rest = rest[count:]
            if (frame := self.next_frame()) is not None:
                frames.append(frame)
        return frames
