"""Restores DEFLATE that a device made, in software, and tells whether it is right. Any host can: it is plain DEFLATE."""

from __future__ import annotations

import functools
import importlib
import random
import zlib
from collections.abc import Callable

from backends.inflate import RAW_WBITS, Inflater

_PAGE_BYTES = 4096
_SELF_TEST_PAGES = 64


def new_inflater() -> tuple[Inflater, type[Exception]]:
    """For one stream, and what it raises at damage: ISA-L's, which needs half of zlib's time, where it is installed."""
    return _decoder()[1]()


def decoder_version() -> str:
    """Which library that is."""
    return _decoder()[0]


@functools.cache
def _decoder() -> tuple[str, Callable[[], tuple[Inflater, type[Exception]]]]:
    try:
        isal, igzip = importlib.import_module("isal"), importlib.import_module("isal.igzip_lib")
    except ImportError:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}", lambda: (zlib.decompressobj(RAW_WBITS), zlib.error)
    return f"ISA-L {isal.ISAL_VERSION}", lambda: (igzip.IgzipDecompressor(igzip.DECOMP_DEFLATE), igzip.error)


def difference(packed: bytes, data: memoryview) -> str | None:
    """How ``packed`` fails to be one whole stream of ``data``; None: it is one."""
    inflater, error = new_inflater()
    try:
        raw = inflater.decompress(packed, len(data) + 1)
    except error as exc:
        return f"{len(packed)} bytes that do not inflate ({exc})"
    if len(raw) != len(data) or not inflater.eof or inflater.unused_data:
        return f"{len(packed)} bytes that inflate to {len(raw)} or have no right end"
    if raw != data:
        at = next(index for index, (got, wanted) in enumerate(zip(raw, data, strict=True)) if got != wanted)
        return f"{len(packed)} bytes that inflate to others from byte {at} on"
    return None


@functools.cache
def self_test_batch() -> memoryview:
    """64 pages, in turns zero, words, random and runs; the same everywhere."""
    rng = random.Random(64)  # noqa: S311 - test data, not secrets
    words = [rng.randbytes(rng.randrange(2, 11)) for _ in range(200)]
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: b" ".join(rng.choices(words, k=_PAGE_BYTES // 2)),
        lambda: rng.randbytes(_PAGE_BYTES),
        lambda: b"".join(rng.randbytes(1) * rng.randrange(1, 300) for _ in range(_PAGE_BYTES // 20)),
    )
    pages = (kinds[page % len(kinds)]()[:_PAGE_BYTES].ljust(_PAGE_BYTES, b"\0") for page in range(_SELF_TEST_PAGES))
    return memoryview(b"".join(pages))
