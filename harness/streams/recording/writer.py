"""Writes a recording from beginning to end; ``layout`` has the format. Knows no QEMU and no socket."""

from __future__ import annotations

from typing import IO

import zstandard

from harness.streams.recording import layout
from harness.streams.recording.layout import About, Facts, Index

CHUNK_BYTES = 8 << 20
LEVEL = 3
"""As fast as a link of some Gbit/s, with a window of the whole chunk in which far repeats are looked for."""


class RecordingWriter:
    """``begin``, then ``write`` any number of times, then ``finish``. ``file_bytes``: written so far.

    :raises OSError: by each: what the file raises.
    """

    def __init__(self, file: IO[bytes], *, chunk_bytes: int = CHUNK_BYTES, level: int = LEVEL) -> None:
        assert 0 < chunk_bytes <= layout.MAX_CHUNK_BYTES  # noqa: S101 - a caller's bug
        self.file_bytes = 0
        self._file = file
        self._compressor = _compressor(chunk_bytes, level)
        self._chunk = bytearray(chunk_bytes)
        self._filled = 0
        self._chunks: list[tuple[int, int]] = []

    def begin(self, about: About) -> None:
        """Write what is known."""
        self._put(layout.HEADER.pack(layout.MAGIC, layout.VERSION))
        self._put_block(layout.META, layout.ABOUT.dump_json(about))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The stream's next bytes; whole chunks go into the file."""
        rest = memoryview(data)
        while rest:
            count = min(len(rest), len(self._chunk) - self._filled)
            self._chunk[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            rest = rest[count:]
            if self._filled == len(self._chunk):
                self._cut()

    def finish(self, facts: Facts) -> None:
        """The last chunk, the index and the end."""
        self._cut()
        index_at = self.file_bytes
        self._put_block(layout.TABLE, layout.INDEX.dump_json(Index(facts, tuple(self._chunks))))
        self._put(layout.trailer(index_at))

    def _cut(self) -> None:
        if self._filled:
            body = self._compressor.compress(memoryview(self._chunk)[: self._filled])
            self._chunks.append((self._filled, len(body)))
            self._put_block(layout.CHUNK, body)
            self._filled = 0

    def _put_block(self, kind: bytes, body: bytes) -> None:
        self._put(layout.block_head(kind, body))
        self._put(body)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self.file_bytes += len(data)


def _compressor(chunk_bytes: int, level: int) -> zstandard.ZstdCompressor:
    """Its window is the chunk: nothing in it is out of reach."""
    window_log = max(zstandard.WINDOWLOG_MIN, (chunk_bytes - 1).bit_length())
    settings = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=chunk_bytes, window_log=window_log, enable_ldm=True, write_content_size=True
    )
    return zstandard.ZstdCompressor(compression_params=settings)
