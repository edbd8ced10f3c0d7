"""Counts what the pages of a stream are made of: their classes, their entropy, and how many are there twice. Keeps no page.

A class is told from a page's bytes alone, the first one below that fits:

    zero          nothing but zeros; also what QEMU sent as a zero page
    repeated      one value of 8 bytes, over and over
    mostly zeros  at least three quarters of its bytes are zero
    text          at least 95 % of its bytes are printable ASCII, spaces and line ends
    random        at least 7.5 bits of entropy in a byte: compressed, encrypted or random data
    mixed         the rest: code, pointers, structures

Entropy is Shannon's, of single bytes of a page: it knows nothing of order, so that a codec may do better or worse.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xxhash

from harness.wire.qemu.walk import PageRun

PageClass = Literal["zero", "repeated", "mostly zeros", "text", "random", "mixed"]
ENTROPY_BINS = 8
"""Of one bit each: 0 to 1, 1 to 2 ... 7 to 8 bits a byte."""

_MOSTLY_ZEROS, _TEXT, _RANDOM_BITS = 0.75, 0.95, 7.5
_SLICE_PAGES = 64
"""Counted at once: what fits into a cache."""

_PRINTABLE = np.array([*b"\t\n\r", *range(32, 127)])
_CLASSES: tuple[PageClass, ...] = get_args(PageClass)
Pages = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Counted:
    """``classes``: of all pages sent, without those that QEMU had packed (``packed``). ``entropy``: raw pages by bits a byte, a bin
    for each bit. ``duplicates``: raw pages with the contents of one before them, wherever that lies. ``sent_again``: raw pages of
    an address that had been sent; ``unchanged``: those of them with the same contents.
    """

    classes: dict[PageClass, int] = field(default_factory=dict)
    packed: int = 0
    entropy: tuple[int, ...] = ()
    duplicates: int = 0
    sent_again: int = 0
    unchanged: int = 0


class Census:
    """Takes runs of pages in the stream's order; 16 bytes are kept of each raw one."""

    def __init__(self) -> None:
        self._classes = np.zeros(len(_CLASSES), dtype=np.int64)
        self._entropy = np.zeros(ENTROPY_BINS, dtype=np.int64)
        self._packed = 0
        self._blocks: dict[str, int] = {}
        self._contents = array("Q")
        self._places = array("Q")

    def take(self, run: PageRun) -> None:
        """The next pages."""
        if run.kind == "zero":
            self._classes[_CLASSES.index("zero")] += len(run.addresses)
        elif run.kind == "other":
            self._packed += len(run.addresses)
        else:
            for at in range(0, len(run.pages), _SLICE_PAGES):
                self._look(run.pages[at : at + _SLICE_PAGES])
            self._contents.extend(xxhash.xxh3_64_intdigest(page) for page in run.pages)
            block = self._blocks.setdefault(run.block, len(self._blocks)) << 52
            self._places.extend((run.addresses | block).tolist())

    def counted(self) -> Counted:
        """So far."""
        contents, places = np.frombuffer(self._contents, np.uint64), np.frombuffer(self._places, np.uint64)
        order = np.argsort(places, kind="stable")
        again = places[order][1:] == places[order][:-1]
        same = contents[order][1:] == contents[order][:-1]
        return Counted(
            {name: int(count) for name, count in zip(_CLASSES, self._classes, strict=True)},
            self._packed,
            tuple(self._entropy.tolist()),
            len(contents) - len(np.unique(contents)),
            int(again.sum()),
            int((again & same).sum()),
        )

    def _look(self, pages: Pages) -> None:
        counts = _byte_counts(pages)
        entropy = _entropy_bits(counts / pages.shape[1])
        words = np.ascontiguousarray(pages).view(np.uint64)
        size = pages.shape[1]
        which = np.select(
            [
                counts[:, 0] == size,
                (words == words[:, :1]).all(axis=1),
                counts[:, 0] >= _MOSTLY_ZEROS * size,
                counts[:, _PRINTABLE].sum(axis=1) >= _TEXT * size,
                entropy >= _RANDOM_BITS,
            ],
            range(len(_CLASSES) - 1),
            len(_CLASSES) - 1,
        )
        self._classes += np.bincount(which, minlength=len(_CLASSES))
        bins = np.minimum(entropy.astype(np.int64), ENTROPY_BINS - 1)
        self._entropy += np.bincount(bins, minlength=ENTROPY_BINS)


def _byte_counts(pages: Pages) -> npt.NDArray[np.int64]:
    """How often each value stands in each page: a row of 256 for each."""
    rows = np.arange(len(pages))[:, None] << 8
    return np.bincount((pages + rows).ravel(), minlength=len(pages) << 8).reshape(len(pages), 256)


def _entropy_bits(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    bits: npt.NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return bits
