"""zlib, as Python ships it: the reference, and what QEMU's own multi-threaded compression used. Raw deflate."""

from __future__ import annotations

import zlib

from backends.api import Backend, BackendInfo, Buffer
from backends.inflate import RAW_WBITS, inflate


class ZlibBackend(Backend):
    """Levels 0 (store) to 9."""

    info = BackendInfo(
        name="zlib",
        levels=(0, 9),
        default_level=1,
        # CPU time to inflate / to deflate at level 1: 0.26 (0.25..0.36). 2-core AMD EPYC, 2026-11-22, n=9 x 32 batches
        # of 256 KiB of guest-like pages (code, heap, text, a sixteenth random): the classic 4:1 rule, confirmed.
        decompress_share=0.25,
        format="deflate",
    )

    @classmethod
    def probe(cls) -> str:
        """zlib's own version."""
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"

    def compress(self, data: Buffer) -> bytes:
        """One raw deflate stream."""
        return zlib.compress(data, self.level or 0, RAW_WBITS)

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One raw deflate stream back."""
        self._checked_raw_bytes(raw_bytes)
        return inflate(self.info, zlib.decompressobj(RAW_WBITS), zlib.error, data, raw_bytes)
