"""libdeflate (binding: ``deflate``): whole-buffer deflate, the best ratio per CPU second of the deflate family.

Its format is the stream's length (u32, little endian) and the raw deflate stream. The length is needed because the
binding's decoder stops at the stream's end and does not say where that was: without it, bytes behind the end would pass.
"""

from __future__ import annotations

import struct

from backends.api import Backend, BackendInfo, Buffer
from backends.library import load_library

_LENGTH = struct.Struct("<I")


class LibdeflateBackend(Backend):
    """Levels 0 (store) to 12; 10 and above search for the smallest output, slowly."""

    info = BackendInfo(
        name="libdeflate",
        levels=(0, 12),
        default_level=1,
        # CPU time to inflate / to deflate at level 1: 0.22 (0.19..0.23). 2-core AMD EPYC, 2026-11-22, n=9 x 32 batches
        # of 256 KiB of guest-like pages.
        decompress_share=0.22,
        needs="deflate",
        extra="libdeflate",
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        super().__init__(level, **options)
        self._deflate = load_library(self.info, "deflate")

    @classmethod
    def probe(cls) -> str:
        """The binding's version (it doesn't tell libdeflate's)."""
        return f"deflate {load_library(cls.info, 'deflate').__version__}"

    def compress(self, data: Buffer) -> bytes:
        """Length and stream."""
        stream: bytearray = self._deflate.deflate_compress(data, self.level)
        return b"".join((_LENGTH.pack(len(stream)), stream))

    def decompress(self, data: Buffer, raw_bytes: int) -> bytearray:
        """The stream back, after its length was checked."""
        self._checked_raw_bytes(raw_bytes)
        if len(data) < _LENGTH.size:
            raise self._error(f"{len(data)} bytes are too few to hold a length")
        (stream_bytes,) = _LENGTH.unpack_from(data)
        if stream_bytes != len(data) - _LENGTH.size:
            raise self._error(f"{len(data) - _LENGTH.size} bytes of deflate where {stream_bytes} were announced")
        try:
            # The binding returns nothing, unchecked, when asked for nothing; so it is asked for one byte.
            raw: bytearray = self._deflate.deflate_decompress(memoryview(data)[_LENGTH.size :], max(raw_bytes, 1))
        except self._deflate.DeflateError as exc:
            raise self._error(
                f"{stream_bytes} bytes of deflate are damaged, or hold more than the {raw_bytes} expected"
            ) from exc
        if len(raw) != raw_bytes:
            raise self._error(f"{stream_bytes} bytes of deflate hold {len(raw)}, not the {raw_bytes} expected")
        return raw
