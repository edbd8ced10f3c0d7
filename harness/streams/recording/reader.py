"""Reads a recording, whoever made the file: allocation is bounded, and what is wrong is one line. ``layout`` has the format."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, TypeVar

import xxhash
import zstandard
from pydantic import TypeAdapter, ValidationError

from harness.errors import MissingError, UserError
from harness.streams.recording import layout
from harness.streams.recording.layout import About, Index

_AGAIN = "copy the file again, or record it again"
_MOST_CHUNK_BODY_BYTES = layout.MAX_CHUNK_BYTES + (layout.MAX_CHUNK_BYTES >> 7) + (1 << 16)
"""zstd makes what it cannot compress larger by 1/256 and some bytes."""

T = TypeVar("T")


def is_recording(path: Path) -> bool:
    """Whether it begins as one. :raises OSError: it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(layout.MAGIC)) == layout.MAGIC


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording says of itself; its chunks are still in the file. ``file_bytes``: the file's size."""

    path: Path
    about: About
    index: Index
    file_bytes: int
    _chunks_at: int

    def stream(self) -> Iterator[bytes]:
        """The recorded stream, a chunk at a time, checked. :raises UserError: it is not what the index says."""
        digest = xxhash.xxh3_128()
        with _opened(self.path) as file:
            at, blocks = self._chunks_at, _Blocks(self.path, file, self.file_bytes)
            for raw_bytes, packed_bytes in self.index.chunks:
                body = blocks.read(at, layout.CHUNK, _MOST_CHUNK_BODY_BYTES)
                if len(body) != packed_bytes:
                    _fail(self.path, at, f"the index lies: a chunk of {packed_bytes} bytes, and here are {len(body)}")
                raw = _unpacked(self.path, at, body, raw_bytes)
                digest.update(raw)
                yield raw
                at += layout.BLOCK.size + packed_bytes
        if digest.hexdigest() != self.index.facts.digest:
            wrong = f"the index lies: XXH3 {self.index.facts.digest}, and the stream has {digest.hexdigest()}"
            _fail(self.path, at, wrong)


def open_recording(path: Path) -> Recording:
    """Read its head and its index. :raises MissingError: no such file. :raises UserError: it is damaged, or of another version."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        blocks = _Blocks(path, file, size)
        _check_header(path, file.read(layout.HEADER.size))
        about_bytes = blocks.read(layout.HEADER.size, layout.META, layout.MAX_ABOUT_BYTES)
        chunks_at = layout.HEADER.size + layout.BLOCK.size + len(about_bytes)
        index_at = blocks.index_at()
        index_bytes = blocks.read(index_at, layout.TABLE, layout.MAX_INDEX_BYTES)
        if index_at + layout.BLOCK.size + len(index_bytes) != size - layout.TRAILER.size:
            _fail(path, index_at, "the index does not end where the file's end mark begins")
    about = _parsed(path, layout.HEADER.size, layout.ABOUT, about_bytes)
    index = _parsed(path, index_at, layout.INDEX, index_bytes)
    _check_index(path, index_at, index, chunks_at)
    return Recording(path, about, index, size, chunks_at)


class _Blocks:
    """A file of ``size`` bytes as blocks."""

    def __init__(self, path: Path, file: IO[bytes], size: int) -> None:
        self._path = path
        self._file = file
        self._size = size

    def read(self, at: int, kind: bytes, most_bytes: int) -> bytes:
        """The body of the block at ``at``, which is to be of this kind and size."""
        found, length, expected = layout.BLOCK.unpack(self._bytes(at, layout.BLOCK.size))
        if found != kind:
            _fail(self._path, at, f"a block {kind.decode()} is to stand here, and {found!r} does")
        if length > most_bytes:
            _fail(self._path, at, f"a block {kind.decode()} of {length} bytes, and the largest has {most_bytes}")
        body = self._bytes(at + layout.BLOCK.size, length)
        if layout.block_sum(kind, body) != expected:
            _fail(self._path, at, f"the checksum of block {kind.decode()} differs")
        return body

    def index_at(self) -> int:
        """Where the index stands, by the trailer."""
        at = self._size - layout.TRAILER.size
        if at < layout.HEADER.size:
            _fail(self._path, self._size, "cut short")
        index_at, expected, end = layout.TRAILER.unpack(self._bytes(at, layout.TRAILER.size))
        if end != layout.END:
            _fail(self._path, self._size, "cut short, or something stands behind its end: there is no end mark here")
        if layout.trailer_sum(index_at) != expected:
            _fail(self._path, at, "the checksum of the trailer differs")
        return int(index_at)

    def _bytes(self, at: int, count: int) -> bytes:
        if at + count > self._size:
            _fail(self._path, self._size, f"cut short: {count} bytes are to stand at {at}")
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) != count:
            _fail(self._path, at, "the file became shorter while it was read")
        return data


def _check_header(path: Path, header: bytes) -> None:
    if len(header) < layout.HEADER.size:
        _fail(path, len(header), "cut short")
    magic, version = layout.HEADER.unpack(header)
    if magic != layout.MAGIC:
        _fail(path, 0, f"not a recording (it begins with {magic!r})", "make one with `pageferry record`")
    if version != layout.VERSION:
        remedy = f"this pageferry reads version {layout.VERSION}: use the pageferry that made it, or record it again"
        _fail(path, len(layout.MAGIC), f"a recording of version {version}", remedy)


def _check_index(path: Path, index_at: int, index: Index, chunks_at: int) -> None:
    """That it fits the file and itself."""
    end = chunks_at + sum(layout.BLOCK.size + packed for _, packed in index.chunks)
    stream_bytes = sum(raw for raw, _ in index.chunks)
    places = [each.stream_at for each in index.facts.passes]
    if end != index_at:
        _fail(path, index_at, f"the index lies: its chunks end at byte {end}")
    if stream_bytes != index.facts.stream_bytes:
        claimed = f"{index.facts.stream_bytes} bytes of stream, and its chunks hold {stream_bytes}"
        _fail(path, index_at, f"the index lies: {claimed}")
    if places != sorted(places) or (places and places[-1] >= stream_bytes):
        _fail(path, index_at, "the index lies: its passes do not follow each other in the stream")


def _parsed(path: Path, at: int, adapter: TypeAdapter[T], data: bytes) -> T:
    try:
        return adapter.validate_json(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        _fail(path, at, f"not what a recording says there: {where}: {first['msg']}")


def _unpacked(path: Path, at: int, body: bytes, raw_bytes: int) -> bytes:
    """The binding allocates what a frame announces, so that is looked at first."""
    try:
        announced = zstandard.frame_content_size(body)
        if announced != raw_bytes:
            _fail(path, at, f"the index lies: a chunk of {raw_bytes} bytes of stream, and it announces {announced}")
        decompressor = zstandard.ZstdDecompressor(max_window_size=layout.MAX_CHUNK_BYTES)
        return decompressor.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        _fail(path, at, f"a chunk cannot be decompressed: {exc}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as exc:
        raise MissingError(
            f"{path}: cannot read the recording: {exc.strerror}; make one with `pageferry record`"
        ) from exc


def _fail(path: Path, at: int, what: str, remedy: str = _AGAIN) -> NoReturn:
    raise UserError(f"{path}: at byte {at}: {what}; {remedy}")
