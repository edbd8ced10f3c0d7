"""Zstandard (binding: ``zstandard``): near zlib's best ratio at several times its speed. One frame per batch.

The frame carries its content size and no checksum. The size is what bounds the decoder: the binding allocates whatever
a frame announces, so that is compared with what the caller expects first, and a frame that announces nothing is refused
(the binding lets bytes behind such a frame pass).
"""

from __future__ import annotations

from backends.api import MAX_BATCH_BYTES, Backend, BackendInfo, Buffer
from backends.library import load_library

_EMPTY_FRAME = bytes.fromhex("28b52ffd2000010000")
"""Nothing, compressed: the same at every level. The binding does not look behind a header that announces 0 bytes."""


class ZstdBackend(Backend):
    """Levels -50 (fastest) to 22 (smallest; slow); 0 is zstd's own default, 3."""

    info = BackendInfo(
        name="zstd",
        levels=(-50, 22),
        default_level=1,
        # CPU time to decompress / to compress at level 1: 0.31 (0.26..0.34). Same machine and day, n=9 x 32 batches of
        # 256 KiB of guest-like pages.
        decompress_share=0.31,
        format="zstd",
        needs="zstandard",
        extra="zstd",
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        super().__init__(level, **options)
        self._zstd = load_library(self.info, "zstandard")
        # Both keep their working memory from batch to batch, but no history. It is allocated by the first call.
        self._compressor = self._zstd.ZstdCompressor(
            level=self.level, write_content_size=True, write_checksum=False, write_dict_id=False, threads=0
        )
        self._decompressor = self._zstd.ZstdDecompressor(max_window_size=MAX_BATCH_BYTES)

    @classmethod
    def probe(cls) -> str:
        """The binding's and the library's versions."""
        zstandard = load_library(cls.info, "zstandard")
        return f"zstandard {zstandard.__version__} (zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))})"

    def compress(self, data: Buffer) -> bytes:
        """One frame."""
        packed: bytes = self._compressor.compress(data)
        return packed

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One frame back."""
        self._checked_raw_bytes(raw_bytes)
        if raw_bytes == 0:
            return self._nothing(data)
        where = f"a frame of {len(data)} bytes"
        try:
            announced = self._zstd.frame_content_size(data)
            if announced != raw_bytes:
                says = "no size" if announced < 0 else f"{announced} bytes"
                raise self._error(f"{where} announces {says}, not the {raw_bytes} expected")
            raw: bytes = self._decompressor.decompress(data, allow_extra_data=False)
        except self._zstd.ZstdError as exc:
            raise self._error(f"{where} for {raw_bytes}: {exc}") from exc
        return raw

    def _nothing(self, data: Buffer) -> bytes:
        if data != _EMPTY_FRAME:
            raise self._error(f"a frame of {len(data)} bytes is not the {len(_EMPTY_FRAME)} that hold nothing")
        return b""
