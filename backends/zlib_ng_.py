"""zlib-ng (binding: ``zlib-ng``): zlib for today's vector units. Raw deflate."""

from __future__ import annotations

from backends.api import Backend, BackendInfo, Buffer
from backends.inflate import RAW_WBITS, inflate
from backends.library import load_library


class ZlibNgBackend(Backend):
    """Levels 0 (store) to 9. Level 1 is quicker and packs less than zlib's."""

    info = BackendInfo(
        name="zlib-ng",
        levels=(0, 9),
        default_level=1,
        # CPU time to inflate / to deflate at level 1: 0.36 (0.35..0.38). 2-core AMD EPYC, 2026-11-22, n=9 x 32 batches
        # of 256 KiB of guest-like pages.
        decompress_share=0.36,
        format="deflate",
        most_expansion=0.125,  # its level 1 writes fixed codes, of up to 9 bits a byte
        needs="zlib-ng",
        extra="zlibng",
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        super().__init__(level, **options)
        self._zlib_ng = load_library(self.info, "zlib_ng.zlib_ng")

    @classmethod
    def probe(cls) -> str:
        """The binding's and the library's versions."""
        package = load_library(cls.info, "zlib_ng")
        library = load_library(cls.info, "zlib_ng.zlib_ng")
        return f"zlib-ng {package.__version__} (zlib-ng {library.ZLIBNG_RUNTIME_VERSION})"

    def compress(self, data: Buffer) -> bytes:
        """One raw deflate stream."""
        packed: bytes = self._zlib_ng.compress(data, self.level, RAW_WBITS)
        return packed

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One raw deflate stream back."""
        self._checked_raw_bytes(raw_bytes)
        inflater = self._zlib_ng.decompressobj(RAW_WBITS)
        return inflate(self.info, inflater, self._zlib_ng.error, data, raw_bytes)
