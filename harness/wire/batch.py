"""A batch of pages: one slice of the migration stream and where the pages lie in it. No I/O, no codecs.

A slice is split into its *pages* (contiguous, what a codec sees) and its *plan* (everything else: record words, zero-page
records, section headers), and joined again byte for byte. The plan's wire form is deflated: runs of record words shrink to
a few bits each.

    slice  := gap page gap page ... gap            a gap is any bytes; between two pages of a run it is the 8-byte word
    plan   := u32 runs, runs x (u32 gap_bytes, u32 pages), the gaps' bytes
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import FrameError

__all__ = ["WORD_BYTES", "PageBatch", "join", "split"]

WORD_BYTES = 8
"""A page record's word: address and flags."""

_RUN = np.dtype([("gap", "<u4"), ("pages", "<u4")])
_COUNT = struct.Struct("<I")
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PageBatch:
    """A slice of the stream, owned by whoever holds it.

    ``raw`` is C-contiguous. ``runs`` are ``(offset, pages)``: the first page's bytes start at ``offset``, the following
    ones each ``page_bytes + 8`` further. Runs ascend and do not overlap. No runs: opaque bytes.
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
    """``(plan, pages)``: the packed plan, and the pages contiguous (a view of ``raw`` where there are no runs)."""
    if not batch.runs:
        return b"", batch.raw
    raw = np.frombuffer(batch.raw, dtype=np.uint8)
    table = _run_table(batch)
    gap_at, page_at = _positions(table, batch.page_bytes, batch.raw_bytes)
    if len(batch.runs) == 1:
        pages = np.ascontiguousarray(_run_view(raw, batch.runs[0], batch.page_bytes))
    else:
        pages = _windows(raw, batch.page_bytes)[page_at]
    plan = zlib.compress(_COUNT.pack(len(table)) + table.tobytes() + raw[gap_at].tobytes(), 1)
    return plan, pages.reshape(-1).data


def join(plan: bytes | memoryview, pages: memoryview, raw_bytes: int, page_bytes: int) -> memoryview:
    """The slice that ``split`` took apart, ``raw_bytes`` long.

    :raises FrameError: the plan does not fit the pages or the size (all is checked before anything is allocated for it).
    """
    if not plan:
        if len(pages) != raw_bytes:
            raise FrameError(f"batch of {raw_bytes} bytes holds {len(pages)}")
        return pages
    table, gaps = _unpack_plan(plan, raw_bytes)
    total_gap = int(table["gap"].sum(dtype=np.int64)) + WORD_BYTES * int((table["pages"].astype(np.int64) - 1).sum())
    count = int(table["pages"].sum(dtype=np.int64))
    if count * page_bytes != len(pages) or len(gaps) + len(pages) != raw_bytes or total_gap > len(gaps):
        raise FrameError(
            f"batch plan names {count} pages and {total_gap} other bytes, not the {raw_bytes} bytes announced"
        )
    gap_at, page_at = _positions(table, page_bytes, raw_bytes)
    raw: _Bytes = np.empty(raw_bytes, dtype=np.uint8)
    raw[gap_at] = gaps
    source = np.frombuffer(pages, dtype=np.uint8).reshape(count, page_bytes)
    if len(table) == 1:
        _run_view(raw, (int(table["gap"][0]), count), page_bytes)[:] = source
    else:
        _windows(raw, page_bytes)[page_at] = source
    return raw.data


def _run_table(batch: PageBatch) -> npt.NDArray[np.void]:
    runs = np.array(batch.runs, dtype=np.int64)
    ends = runs[:, 0] + runs[:, 1] * (batch.page_bytes + WORD_BYTES) - WORD_BYTES
    table = np.empty(len(runs), dtype=_RUN)
    table["gap"] = runs[:, 0]
    table["gap"][1:] -= ends[:-1].astype(np.uint32)
    table["pages"] = runs[:, 1]
    return table


def _positions(
    table: npt.NDArray[np.void], page_bytes: int, raw_bytes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each byte that is not of a page, and where each page, lies in the slice."""
    counts = table["pages"].astype(np.int64)
    pages = int(counts.sum())
    gaps = np.full(pages + 1, WORD_BYTES, dtype=np.int64)
    gaps[np.cumsum(counts) - counts] = table["gap"]
    gaps[pages] = raw_bytes - pages * page_bytes - int(gaps[:pages].sum())
    page_at = np.cumsum(gaps[:pages]) + page_bytes * np.arange(pages)
    gap_at = np.arange(raw_bytes - pages * page_bytes) + page_bytes * np.repeat(np.arange(pages + 1), gaps)
    return gap_at, page_at


def _run_view(raw: _Bytes, run: tuple[int, int], page_bytes: int) -> _Bytes:
    offset, count = run
    return np.lib.stride_tricks.as_strided(
        raw[offset : offset + page_bytes], (count, page_bytes), (page_bytes + WORD_BYTES, 1)
    )


def _windows(raw: _Bytes, page_bytes: int) -> _Bytes:
    """Row i is the ``page_bytes`` bytes at offset i: indexing it with page offsets moves whole pages in one native call."""
    return np.lib.stride_tricks.as_strided(raw, (len(raw) - page_bytes + 1, page_bytes), (1, 1))


def _unpack_plan(plan: bytes | memoryview, raw_bytes: int) -> tuple[npt.NDArray[np.void], _Bytes]:
    # A run holds at least one page, so runs are fewer than raw_bytes / 8 and the plan is smaller than twice the slice.
    limit = 2 * raw_bytes + _COUNT.size
    inflater = zlib.decompressobj()
    try:
        flat = inflater.decompress(plan, limit)
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
    return table, np.frombuffer(flat, dtype=np.uint8, offset=start)
