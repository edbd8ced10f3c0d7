"""LZ4 (binding: ``lz4``): the quickest to decode. LZ4 blocks without a size in front: a block ends where its input ends.

Levels as in LZ4's own frame library: 0 is the default compressor, 1 to 12 its high-compression one, and -n the fast one
with acceleration n + 1.
"""

from __future__ import annotations

from typing import Any

from backends.api import Backend, BackendInfo, Buffer
from backends.library import load_library


class Lz4Backend(Backend):
    """Levels -64 (fastest) to 12 (smallest)."""

    info = BackendInfo(
        name="lz4",
        levels=(-64, 12),
        default_level=0,
        # CPU time to decompress / to compress at level 0: 0.24 (0.22..0.28). 2-core AMD EPYC, 2026-11-22, n=9 x 32
        # batches of 256 KiB of guest-like pages.
        decompress_share=0.24,
        format="lz4-block",
        needs="lz4",
        extra="lz4",
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        super().__init__(level, **options)
        self._block = load_library(self.info, "lz4.block")
        self._settings = _settings(self.level or 0)

    @classmethod
    def probe(cls) -> str:
        """The binding's and the library's versions."""
        lz4 = load_library(cls.info, "lz4")
        load_library(cls.info, "lz4.block")
        return f"lz4 {lz4.__version__} (LZ4 {lz4.library_version_string()})"

    def compress(self, data: Buffer) -> bytes:
        """One block."""
        packed: bytes = self._block.compress(data, store_size=False, **self._settings)
        return packed

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One block back."""
        self._checked_raw_bytes(raw_bytes)
        try:
            raw: bytes = self._block.decompress(data, uncompressed_size=raw_bytes)
        except self._block.LZ4BlockError as exc:
            raise self._error(
                f"a block of {len(data)} bytes is damaged, or holds more than the {raw_bytes} expected"
            ) from exc
        if len(raw) != raw_bytes:
            raise self._error(f"a block of {len(data)} bytes holds {len(raw)}, not the {raw_bytes} expected")
        return raw


def _settings(level: int) -> dict[str, Any]:
    if level > 0:
        return {"mode": "high_compression", "compression": level}
    return {"mode": "fast", "acceleration": 1 - level}
