"""A recording gives back the bytes that went in, however chunked; cut or flipped anywhere, or made to lie, it is one line."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import MissingError, UserError
from harness.streams.recording import layout
from harness.streams.recording.layout import About, Facts, Index, Pass
from harness.streams.recording.reader import open_recording
from harness.streams.recording.writer import RecordingWriter

ABOUT = About(
    "2026-11-27T23:00:00+00:00", "0.1.0", "throttled", {"kind": "linux", "memory_bytes": 1 << 27}, {"qemu": "7.2"}
)
DATA = bytes(range(256)) * 20 + b"text of some page " * 300


def recorded(data: bytes, chunk_bytes: int = 4096, pieces: int = 1000, about: About = ABOUT) -> bytes:
    file = io.BytesIO()
    writer = RecordingWriter(file, chunk_bytes=chunk_bytes)
    writer.begin(about)
    for at in range(0, len(data), pieces):
        writer.write(data[at : at + pieces])
    writer.finish(facts(data))
    assert writer.file_bytes == len(file.getvalue())
    return file.getvalue()


def facts(data: bytes) -> Facts:
    passes = (Pass(0, 0.0, 3, 4), Pass(len(data) // 2, 1.5, 1, stopped=True)) if len(data) > 1 else ()
    return Facts(len(data), xxhash.xxh3_128_hexdigest(data), "pc-q35-7.2", None, passes)


def read(path: Path) -> bytes:
    return b"".join(open_recording(path).stream())


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recordings")


@given(
    data=st.one_of(
        st.binary(max_size=5000), st.builds(lambda unit, n: unit * n, st.binary(max_size=50), st.integers(0, 999))
    ),
    chunk_bytes=st.integers(1, 6000),
    pieces=st.integers(1, 9000),
)
@settings(max_examples=100, deadline=None)
def test_what_comes_out_is_what_went_in(folder, data, chunk_bytes, pieces):
    chunk_bytes = max(chunk_bytes, len(data) // 50 + 1)
    path = saved(folder / "any.pfs", recorded(data, chunk_bytes, pieces))
    recording = open_recording(path)
    assert b"".join(recording.stream()) == data
    assert (recording.about, recording.index.facts) == (ABOUT, facts(data))
    assert len(recording.index.chunks) == -(-len(data) // chunk_bytes)
    assert recording.file_bytes == path.stat().st_size


@given(at=st.integers(0, len(recorded(DATA)) - 1))
@settings(max_examples=200, deadline=None)
def test_cut_anywhere_it_is_an_error_that_says_where(folder, at):
    path = saved(folder / "cut.pfs", recorded(DATA)[:at])
    with pytest.raises(
        UserError, match=r"cut\.pfs: at byte \d+: .*cut short.*; copy the file again, or record it again"
    ):
        read(path)


@given(at=st.integers(0, len(recorded(DATA)) - 1), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_any_flipped_bit_is_found(folder, at, bit):
    data = bytearray(recorded(DATA))
    data[at] ^= 1 << bit
    with pytest.raises(UserError, match=r"flipped\.pfs: at byte \d+: .*; "):
        read(saved(folder / "flipped.pfs", data))


def test_what_stands_behind_the_end_is_found(folder):
    with pytest.raises(UserError, match="there is no end mark here"):
        read(saved(folder / "longer.pfs", recorded(DATA) + b"\0"))


def test_another_version_and_what_is_no_recording_are_told_apart(folder):
    newer = bytearray(recorded(DATA))
    newer[9] = 7
    with pytest.raises(
        UserError, match="a recording of version 7; this pageferry reads version 1: use the pageferry that"
    ):
        open_recording(saved(folder / "newer.pfs", newer))
    with pytest.raises(UserError, match=r"at byte 0: not a recording \(it begins with b'QEVM"):
        open_recording(saved(folder / "plain.pfs", b"QEVM" + bytes(5000)))
    with pytest.raises(MissingError, match=r"none\.pfs: cannot read the recording: No such file"):
        open_recording(folder / "none.pfs")


# ------------------------------------------------------------------ files made to deceive, every checksum right


def made(
    chunks: list[bytes], index: bytes, *, about: bytes = layout.ABOUT.dump_json(ABOUT), index_at: int | None = None
) -> bytes:
    data = layout.HEADER.pack(layout.MAGIC, layout.VERSION) + layout.block_head(layout.META, about) + about
    data += b"".join(layout.block_head(layout.CHUNK, chunk) + chunk for chunk in chunks)
    at = len(data) if index_at is None else index_at
    return data + layout.block_head(layout.TABLE, index) + index + layout.trailer(at)


def index(
    stream_bytes: int, chunks: list[tuple[int, int]], passes: tuple[Pass, ...] = (), digest: str = "0" * 32
) -> bytes:
    return layout.INDEX.dump_json(Index(Facts(stream_bytes, digest, passes=passes), tuple(chunks)))


ZEROS = zstandard.ZstdCompressor().compress(bytes(4096))
BOMB = zstandard.ZstdCompressor().compress(bytes(layout.MAX_CHUNK_BYTES * 8))
NO_SIZE = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(4096))
WIDE = struct.pack("<IBBH", 0xFD2FB528, 0x40, 31 << 3, 4096 - 256) + b"\x01\0\0"
"""A frame that needs a window of 2 TiB."""


def one(chunk: bytes, raw_bytes: int = 4096) -> bytes:
    return made([chunk], index(raw_bytes, [(raw_bytes, len(chunk))]))


LIES = {
    "digest": (one(ZEROS), "the index lies: XXH3 0"),
    "bomb": (one(BOMB), "a chunk of 4096 bytes of stream, and it announces 536870912"),
    "no size": (one(NO_SIZE), "it announces -1"),
    "window": (one(WIDE), "a chunk cannot be decompressed"),
    "no frame": (one(b"x" * 50), "a chunk cannot be decompressed"),
    "torn frame": (one(ZEROS[:-2]), "a chunk cannot be decompressed"),
    "more behind a frame": (one(ZEROS + b"x"), "a chunk cannot be decompressed"),
    "sizes": (made([ZEROS], index(9999, [(4096, len(ZEROS))])), "9999 bytes of stream, and its chunks hold 4096"),
    "places": (made([ZEROS], index(4096, [(4096, 5)])), "the index lies: its chunks end at byte"),
    "swapped": (made([ZEROS, ZEROS + b"x"], index(8192, [(4096, len(ZEROS) + 1), (4096, len(ZEROS))])), "and here are"),
    "a chunk too large": (
        made([ZEROS], index(1 << 40, [(1 << 40, len(ZEROS))])),
        r"chunks\.0\.0: Input should be less than",
    ),
    "passes": (
        made([ZEROS], index(4096, [(4096, len(ZEROS))], (Pass(9, 0.0), Pass(3, 0.0)))),
        "its passes do not follow each other",
    ),
    "a pass behind the end": (
        made([ZEROS], index(4096, [(4096, len(ZEROS))], (Pass(4096, 0.0),))),
        "its passes do not",
    ),
    "a digest that is a path": (
        made([ZEROS], index(4096, [(4096, len(ZEROS))], digest="../../etc/passwd")),
        "digest: String",
    ),
    "index elsewhere": (made([ZEROS], index(4096, [(4096, len(ZEROS))]), index_at=10), "a block INDX is to stand here"),
    "index beyond": (
        made([ZEROS], index(4096, [(4096, len(ZEROS))]), index_at=1 << 63),
        "cut short: 16 bytes are to stand at",
    ),
    "index is no JSON": (made([], b"[" * 100_000), "at byte .*: not what a recording says there: all of it"),
    "about is something else": (made([], index(0, []), about=b"[]"), "at byte 10: not what a recording says there"),
    "index is large": (made([], bytes(5 << 20)), "a block INDX of 5242880 bytes, and the largest has 4194304"),
    "about is large": (made([], index(0, []), about=bytes(2 << 20)), "a block META of 2097152 bytes, and the largest"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_one_line_and_costs_no_memory(folder, name):
    data, words = LIES[name]
    path = saved(folder / "lies.pfs", data)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=words) as error:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert str(error.value).startswith(f"{path}: at byte ")
    assert "\n" not in str(error.value)
