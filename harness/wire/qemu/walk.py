"""A walk through QEMU's migration stream that tells of every page: its block, its address, its bytes. No I/O.

The pair needs none of this; whoever studies a stream does. It is ``QStreamParser``'s own walk, so both find the same pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.wire.batch import WORD_BYTES
from harness.wire.qemu.marks import COMPRESS_PAGE, CONTINUE, PAGE, XBZRLE, ZERO
from harness.wire.qemu.ram import RamSection
from harness.wire.qemu.stream import QStreamParser

_KINDS: dict[int, Literal["raw", "zero", "other"]] = {
    PAGE: "raw",
    ZERO: "zero",
    XBZRLE: "other",
    COMPRESS_PAGE: "other",
}


@dataclass(frozen=True, slots=True)
class PageRun:
    """Pages of one kind whose records lie behind each other, ``stride`` bytes apart, the first ``stream_at`` bytes into the stream.

    ``kind``: "raw" with its bytes, "zero" without, "other": packed by QEMU. ``addresses``: in ``block``, one for each page.
    ``pages``: a row for each raw page, in the parser's own buffer: gone after the call. ``stopped``: the guest stands still.
    """

    kind: Literal["raw", "zero", "other"]
    block: str
    addresses: npt.NDArray[np.int64]
    pages: npt.NDArray[np.uint8]
    stream_at: int
    stride: int
    stopped: bool


class StreamWalk:
    """Feed it the stream, cut anywhere; ``on_run`` is called for each run of pages, in the stream's order."""

    def __init__(self, on_run: Callable[[PageRun], None]) -> None:
        self.parser = QStreamParser()
        self.parser.ram = _Walk(self.parser, on_run)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """The stream's next bytes."""
        self.parser.receive_data(data)


class _Walk(RamSection):
    def __init__(self, parser: QStreamParser, on_run: Callable[[PageRun], None]) -> None:
        super().__init__(parser.counts)
        self._parser = parser
        self._on_run = on_run
        self._block = ""

    def _run(self, pos: int, stride: int, flags: int) -> int:
        length = super()._run(pos, stride, flags)
        if length:
            self._tell(flags & ~CONTINUE, pos, pos + WORD_BYTES, length // stride, stride)
        return length

    def _rare_record(self, pos: int, flags: int) -> int:
        end = super()._rare_record(pos, flags)
        kind, at = flags & ~CONTINUE, pos + WORD_BYTES
        if kind in _KINDS:
            if not flags & CONTINUE:
                self._block, at = self._cursor.string(at)
            self._tell(kind, pos, at, 1, end - pos)
        return end

    def _tell(self, kind: int, pos: int, page_at: int, count: int, stride: int) -> None:
        array = self._cursor.array
        words = np.ndarray((count,), dtype=">u8", buffer=array, offset=pos, strides=(stride,))
        shape = (count if kind == PAGE else 0, self.page_bytes)
        self._on_run(
            PageRun(
                _KINDS[kind],
                self._block,
                (words & ~np.uint64(self.page_bytes - 1)).astype(np.int64),
                np.ndarray(shape, dtype=np.uint8, buffer=array, offset=page_at, strides=(stride, 1)),
                self._parser.counts.stream_bytes - self._cursor.fill + pos,
                stride,
                self._parser.ending,
            )
        )
