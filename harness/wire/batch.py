"""A batch of pages: one slice of the migration stream and where the pages lie in it. No I/O, no codecs.

A slice is split into its *pages* (contiguous, what a codec sees) and its *plan* (everything else: record words, zero-page
records, section headers), and joined again byte for byte. The plan's wire form is deflated: runs of record words shrink to
a few bits each.

    slice  := extra (word page)+ extra (word page)+ ... extra
    plan   := u32 runs, runs x (u32 extra_bytes, u32 pages), every word, every extra (the last one has what is left)

A word is the 8 bytes before a page: its record's address and flags, or the end of its block's name. An extra is whatever
stands between two runs.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import FrameError

WORD_BYTES = 8

_RUN = np.dtype([("extra", "<u4"), ("pages", "<u4")])
_COUNT = struct.Struct("<I")
_Bytes = npt.NDArray[np.uint8]
_Table = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class PageBatch:
    """A slice of the stream, owned by whoever holds it.

    ``raw`` is C-contiguous. ``runs`` are ``(offset, pages)``: the first page's bytes start at ``offset`` (at least 8), the
    following ones each ``page_bytes + 8`` further. Runs ascend and do not overlap. No runs: opaque bytes.
    """

    raw: memoryview
    runs: tuple[tuple[int, int], ...] = ()
    page_bytes: int = 4096

    @property
    def raw_bytes(self) -> int:
        """Bytes of stream in this batch."""
        return len(self.raw)

    @property
    def pages(self) -> int:
        """Raw pages in this batch."""
        return sum(count for _, count in self.runs)


def split(batch: PageBatch) -> tuple[bytes, memoryview]:
    """``(plan, pages)``: the packed plan, and the pages contiguous (``raw`` itself where there are no runs)."""
    if not batch.runs:
        return b"", batch.raw
    stride = batch.page_bytes + WORD_BYTES
    page_at = _page_offsets(np.array(batch.runs, dtype=np.int64), stride)
    pages = _each_offset(batch.raw, batch.page_bytes)[page_at]
    words = _each_offset(batch.raw, WORD_BYTES)[page_at - WORD_BYTES]
    table, extras, end = [], [], 0
    for offset, count in batch.runs:
        table += [offset - WORD_BYTES - end, count]
        extras.append(batch.raw[end : offset - WORD_BYTES])
        end = offset - WORD_BYTES + count * stride
    extras.append(batch.raw[end:])
    head = struct.pack(f"<I{len(table)}I", len(batch.runs), *table)
    return zlib.compress(b"".join([head, words.tobytes(), *extras]), 1), pages.view(np.uint8).data


def join(plan: bytes | memoryview, pages: memoryview, raw_bytes: int, page_bytes: int) -> memoryview:
    """The slice that ``split`` took apart, ``raw_bytes`` long.

    :raises FrameError: the plan does not fit the pages or the size; all is checked before the slice is allocated.
    """
    if not plan:
        if len(pages) != raw_bytes:
            raise FrameError(f"batch of {raw_bytes} bytes holds {len(pages)}")
        return pages
    stride = page_bytes + WORD_BYTES
    table, rest = _unpack_plan(plan, raw_bytes)
    count, extra_bytes = int(table["pages"].sum(dtype=np.int64)), int(table["extra"].sum(dtype=np.int64))
    if (
        count * page_bytes != len(pages)
        or count * stride + extra_bytes > raw_bytes
        or len(rest) + len(pages) != raw_bytes
    ):
        raise FrameError(
            f"batch plan names {count} pages and {extra_bytes} other bytes, not the {raw_bytes} bytes announced"
        )
    runs = _run_offsets(table, stride)
    page_at = _page_offsets(runs, stride)
    raw = memoryview(np.empty(raw_bytes, dtype=np.uint8).data)
    _each_offset(raw, page_bytes)[page_at] = np.frombuffer(pages, dtype=f"V{page_bytes}")
    _each_offset(raw, WORD_BYTES)[page_at - WORD_BYTES] = np.frombuffer(rest, dtype=f"V{WORD_BYTES}", count=count)
    taken, end = count * WORD_BYTES, 0
    for offset, run_pages in runs.tolist():
        extra = offset - WORD_BYTES - end
        raw[end : end + extra] = rest[taken : taken + extra]
        taken, end = taken + extra, end + extra + run_pages * stride
    raw[end:] = rest[taken:]
    return raw


def _page_offsets(runs: npt.NDArray[np.int64], stride: int) -> npt.NDArray[np.int64]:
    """Where each page begins, for rows of ``(offset, pages)``."""
    counts = runs[:, 1]
    before = np.cumsum(counts) - counts
    offsets: npt.NDArray[np.int64] = np.repeat(runs[:, 0] - before * stride, counts) + stride * np.arange(counts.sum())
    return offsets


def _run_offsets(table: _Table, stride: int) -> npt.NDArray[np.int64]:
    """Rows of ``(offset, pages)`` from the plan's table."""
    extra, counts = table["extra"].astype(np.int64), table["pages"].astype(np.int64)
    ends = np.cumsum(extra + counts * stride)
    return np.stack([ends - counts * stride + WORD_BYTES, counts], axis=1)


def _each_offset(raw: memoryview, size: int) -> npt.NDArray[np.void]:
    """Element i is the ``size`` bytes from byte i on: indexing with offsets moves whole pages in one native call.

    14 GB/s both ways; rows of a 2-d view gave 7, a strided copy of one run 15 (AMD EPYC, 64 pages, 2026-11-22).
    """
    return np.ndarray((len(raw) - size + 1,), dtype=f"V{size}", buffer=raw, strides=(1,))


def _unpack_plan(plan: bytes | memoryview, raw_bytes: int) -> tuple[_Table, memoryview]:
    """The table, and words and extras behind it."""
    # A run holds at least one page, so the table is smaller than the slice, and the plan than twice the slice.
    inflater = zlib.decompressobj()
    try:
        flat = inflater.decompress(plan, 2 * raw_bytes + _COUNT.size)
    except zlib.error as exc:
        raise FrameError(f"batch plan of {len(plan)} bytes does not inflate: {exc}") from exc
    if not inflater.eof or inflater.unused_data or len(flat) < _COUNT.size:
        raise FrameError(
            f"batch plan of {len(plan)} bytes is longer, shorter or larger than a batch of {raw_bytes} allows"
        )
    (runs,) = _COUNT.unpack_from(flat)
    start = _COUNT.size + runs * _RUN.itemsize
    if runs == 0 or start > len(flat):
        raise FrameError(f"batch plan of {len(flat)} bytes cannot hold {runs} runs")
    table = np.frombuffer(flat, dtype=_RUN, count=runs, offset=_COUNT.size)
    if not table["pages"].all():
        raise FrameError("batch plan has a run of no pages")
    return table, memoryview(flat)[start:]
