"""How a recording (``.pfs``) lies in its file. No I/O.

    file     magic (8 bytes)  version u16  block META  block CHNK ...  block INDX  trailer
    block    kind (4)  length u32  sum u64  body of that length
    trailer  index_at u64  sum u64  end mark (8)

Numbers are big-endian. A sum is XXH3 (64 bits) of all that it stands for: of a block's kind, length and body, of the trailer's
``index_at``. META is JSON, ``About``: what was known before the first byte came. A CHNK is one zstd frame, which announces its size
and needs no other chunk. INDX is JSON, ``Index``: what the stream turned out to be, and how large each chunk is. Nothing is written
twice, so that a recording can go into a pipe; a file without its end mark was cut short.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Annotated

import xxhash
from pydantic import Field, JsonValue, TypeAdapter

__all__ = [
    "ABOUT", "BLOCK", "CHUNK", "END", "HEADER", "INDEX", "MAGIC", "MAX_ABOUT_BYTES", "MAX_CHUNK_BYTES", "MAX_INDEX_BYTES",
    "MAX_PASSES", "META", "SAMPLED_BLOCK_BYTES", "TABLE", "TRAILER", "VERSION", "About", "Facts", "Index", "Pass", "Sample",
    "block_head", "block_sum", "trailer", "trailer_sum",
]  # fmt: skip

MAGIC = b"\x89PFS\r\n\x1a\n"
"""Bytes that a transfer as text would change, as PNG's."""

END = b"\x89PFSEND\n"
VERSION = 1
HEADER = struct.Struct(">8sH")
BLOCK = struct.Struct(">4sIQ")
TRAILER = struct.Struct(">QQ8s")
META, CHUNK, TABLE = b"META", b"CHNK", b"INDX"

MAX_ABOUT_BYTES = 1 << 20
MAX_INDEX_BYTES = 4 << 20
"""That of more than a terabyte of stream, in chunks of 8 MiB; read, it takes up ten times that at worst."""

MAX_CHUNK_BYTES = 64 << 20
"""Of stream in a chunk: what a reader must have room for, whoever made the file."""

MAX_PASSES = 10_000
"""A stream with more is no guest's; its last one holds the rest."""

SAMPLED_BLOCK_BYTES = 1 << 20
"""Of memory that are kept or left out together."""

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Sample:
    """Of each ``of`` MiB in turn of every RAM block only one is in the stream: the one whose place among them is XXH3 (64 bits) of
    the text "SEED BLOCK TURN", modulo ``of``.
    """

    of: Annotated[int, Field(ge=1, le=1 << 20)]
    seed: int

    @property
    def words(self) -> str:
        """For a sentence."""
        return f"1 MiB of each {self.of} MiB of memory, by seed {self.seed}"


@dataclass(frozen=True, slots=True)
class About:
    """What the recorder knew. ``recorded_at``: ISO 8601. ``guest``: the scenario's table, in base units. ``environment``: what it
    ran in. ``bandwidth_bytes_per_s``: what QEMU was allowed to send. ``licences``: of what is in the guest's memory, a text.
    ``sample``: None where all of the guest's memory is in the stream.
    """

    recorded_at: str
    pageferry: str
    scenario: str | None = None
    guest: dict[str, JsonValue] = field(default_factory=dict)
    environment: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    bandwidth_bytes_per_s: Count | None = None
    licences: str = ""
    sample: Sample | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """One walk over the guest's memory in the order of addresses. ``stream_at``: where its first page's record stands.
    ``began_s``: when that came, after the stream's first byte. ``stopped``: the last one, sent while the guest stood still.
    """

    stream_at: Count
    began_s: Seconds
    raw_pages: Count = 0
    zero_pages: Count = 0
    other_pages: Count = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a stream turned out to be. ``digest``: XXH3 (128 bits) of all of it, in hex. ``machine``: as the stream names it.
    ``opaque_reason``: why not all of its pages are known.
    """

    stream_bytes: Count
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    machine: str | None = None
    opaque_reason: str | None = None
    passes: Annotated[tuple[Pass, ...], Field(max_length=MAX_PASSES)] = ()

    @property
    def pages(self) -> tuple[int, int, int]:
        """Records of raw, zero and other pages; a page that was sent twice counts twice."""
        passes = self.passes
        return sum(p.raw_pages for p in passes), sum(p.zero_pages for p in passes), sum(p.other_pages for p in passes)


@dataclass(frozen=True, slots=True)
class Index:
    """``chunks``: of each in turn, its bytes of stream and the length of its block's body."""

    facts: Facts
    chunks: tuple[tuple[Annotated[int, Field(gt=0, le=MAX_CHUNK_BYTES)], Annotated[int, Field(gt=0, lt=1 << 32)]], ...]


ABOUT: TypeAdapter[About] = TypeAdapter(About)
INDEX: TypeAdapter[Index] = TypeAdapter(Index)


def block_sum(kind: bytes, body: bytes | memoryview) -> int:
    """Of a block."""
    digest = xxhash.xxh3_64(struct.pack(">4sI", kind, len(body)))
    digest.update(body)
    return digest.intdigest()


def block_head(kind: bytes, body: bytes | memoryview) -> bytes:
    """What stands before a block's body."""
    return BLOCK.pack(kind, len(body), block_sum(kind, body))


def trailer_sum(index_at: int) -> int:
    """Of the trailer."""
    return xxhash.xxh3_64_intdigest(struct.pack(">Q", index_at))


def trailer(index_at: int) -> bytes:
    """The file's end."""
    return TRAILER.pack(index_at, trailer_sum(index_at), END)
