"""Tells memory that no codec will shrink (encrypted, compressed, random) from a sample, before it costs CPU time. Pure.

Of such memory all bytes are equally frequent, and no page is there twice. Guest memory that compresses fails the first test by
far: of 1 MiB with 16 pages of text among random ones, chi-square is above 1000, of random bytes 255 +- 23.
"""

from __future__ import annotations

import numpy as np

from harness.wire.batch import PageBatch

_SLICES, _SLICE_BYTES = 64, 128
_SMALLEST_BYTES = 64 << 10
_EXPECTED = _SLICES * _SLICE_BYTES / 256
_MOST_CHI_SQUARE = 600.0
"""Even bytes give 255 +- 23, and some more with the record words, mostly zeros, that slices hit; one slice of zeros gives 767."""

_FEW_SLICES, _FEW_BYTES, _FROM_BYTES, _MOST_ZEROS = 8, 64, 1 << 10, 14
"""Most memory shows by its zeros that the rest of the look is not needed: even bytes have 2 +- 1.4 of them in so few, and such a
share of zeros alone is a chi-square above 600. A batch begins with a record's word, which is mostly zeros, and so may its parts:
the slices lie behind it."""

_PAGE_HEAD_BYTES = 8


def looks_incompressible(batch: PageBatch) -> bool:
    """Whether compressing would be in vain. A few compressible pages in the batch may be overlooked.

    Takes 35 us for 1 MiB of mixed memory where zeros do not tell, 94 us for 1 MiB of random pages (2-core Intel Xeon, 2026-11-25,
    medians of 181). Of 190 MB with 60 % random pages 151 MB were recognised; zstd 1 would have saved 22 kB of them.
    """
    if batch.raw_bytes < _SMALLEST_BYTES:
        return False
    if _has_zeros(batch.raw):
        return False
    raw = np.frombuffer(batch.raw, dtype=np.uint8)
    step = len(raw) // _SLICES
    counts = np.bincount(raw[: step * _SLICES].reshape(_SLICES, step)[:, :_SLICE_BYTES].ravel(), minlength=256)
    if np.square(counts - _EXPECTED).sum() / _EXPECTED > _MOST_CHI_SQUARE:
        return False
    heads = _page_heads(batch, raw)
    return len(set(heads)) == len(heads)


def _has_zeros(raw: memoryview) -> bool:
    step = len(raw) // _FEW_SLICES
    starts = range(_FROM_BYTES, step * _FEW_SLICES, step)
    few = b"".join([raw[at : at + _FEW_BYTES] for at in starts])
    return few.count(0) > _MOST_ZEROS


def _page_heads(batch: PageBatch, raw: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> list[int]:
    """The first bytes of each page: of random pages none are alike."""
    if not batch.runs:
        return []
    stride = batch.page_bytes + _PAGE_HEAD_BYTES
    at = np.concatenate([offset + stride * np.arange(pages) for offset, pages in batch.runs])
    heads: list[int] = np.ndarray((len(raw) - 7,), dtype="<u8", buffer=raw, strides=(1,))[at].tolist()
    return heads
