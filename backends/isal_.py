"""Intel's ISA-L (binding: ``isal``): deflate for speed, with the vector units of x86-64 and ARM. Raw deflate."""

from __future__ import annotations

from backends.api import Backend, BackendInfo, Buffer
from backends.inflate import inflate
from backends.library import load_library


class IsalBackend(Backend):
    """Levels 0 (fastest; not zlib's store) to 3."""

    info = BackendInfo(
        name="isal",
        levels=(0, 3),
        default_level=1,
        # CPU time to inflate / to deflate at level 1: 0.67 (0.60..0.69). 2-core AMD EPYC, 2026-11-22, n=9 x 32 batches
        # of 256 KiB of guest-like pages. Its compressor is so fast that the 4:1 rule starves the destination.
        decompress_share=0.67,
        format="deflate",
        needs="isal",
        extra="isal",
    )

    def __init__(self, level: int | None = None, **options: object) -> None:
        super().__init__(level, **options)
        # igzip_lib sizes the decoder's at once; isal_zlib's decoder
        # doubles from 16 KiB and was 10 % slower (2-core AMD EPYC, 2026-11-22, 24 batches of 256 KiB, n=3).
        self._igzip = load_library(self.info, "isal.igzip_lib")

    @classmethod
    def probe(cls) -> str:
        """The binding's and the library's versions."""
        isal = load_library(cls.info, "isal")
        load_library(cls.info, "isal.igzip_lib")
        return f"isal {isal.__version__} (ISA-L {isal.ISAL_VERSION})"

    def compress(self, data: Buffer) -> bytes:
        """One raw deflate stream."""
        packed: bytes = self._igzip.compress(data, self.level, self._igzip.COMP_DEFLATE)
        return packed

    def decompress(self, data: Buffer, raw_bytes: int) -> bytes:
        """One raw deflate stream back."""
        self._checked_raw_bytes(raw_bytes)
        inflater = self._igzip.IgzipDecompressor(self._igzip.DECOMP_DEFLATE)
        return inflate(self.info, inflater, self._igzip.error, data, raw_bytes)
