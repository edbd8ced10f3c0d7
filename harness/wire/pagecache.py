"""Pages that both halves keep, so that a page sent again travels as what changed in it. Bytes in, bytes out: no I/O, no codecs.

QEMU's xbzrle has the idea; here what is left of a page still goes through a codec. A cache has slots of one page. A page's own slot
follows from the 8 bytes before it in the stream, which hold its address: number modulo slots. A batch travels with a plan:

    plan := u8 deflated (0 or 1), flat or zlib of flat
    flat := u32 runs, runs x (u32 offset, u32 pages), and unless all are 0: kind (u8) x pages, u32 x pages of kind 2
    kind := 0 as it is | 1 relative to its own slot | 2 relative to the slot named

A relative page travels as its exclusive-or with what that slot held before the batch; then every page of the batch is put into its
own slot, at both ends. The sender decides all of it, so that the number of slots is all that the two agree on. Whether a batch was
restored right is for its digest to say, and only then may it be put.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import FrameError
from harness.wire.batch import WORD_BYTES, PageBatch, each_offset, page_offsets

__all__ = ["LEAST_PAGE_BYTES", "CacheCounts", "PagePlan", "ReceiverCache", "Relative", "SenderCache"]

LEAST_PAGE_BYTES = 4096
"""The plan of smaller pages might not fit what a frame may be larger than its batch."""

_AS_IS, _OWN, _OTHER = 0, 1, 2
_MOST_CHANGED_WORDS = 256
"""Of a page's 512 words of 8 bytes. What is nearly new compresses better as it is than as its difference to what it was."""

_SAMPLES = (5, 131, 263, 401)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HASH_BITS = 18
_COUNT = struct.Struct("<I")
_FLAT_BYTES = 256
"""A smaller plan is not deflated: zlib takes 20 us to begin."""

_SHORTEST_RUN = 4
"""From so many pages a run on, in the mean, each run is copied by itself: no gathering, so one copy instead of two. 0.16
instead of 0.17 s at a sender, 0.10 instead of 0.11 s at a receiver for 380 MB of a live guest's stream (2 cores, 2026-11-25,
n=2)."""

_Words = npt.NDArray[np.uint64]
_Index = npt.NDArray[np.int64]
_Kinds = npt.NDArray[np.uint8]
_Pages = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Where a batch's pages begin, and for each its kind; ``others`` are the slots of those of kind 2, in their order."""

    runs: tuple[tuple[int, int], ...]
    at: _Index
    kinds: _Kinds
    others: _Index

    @property
    def is_plain(self) -> bool:
        """No page is relative to another."""
        return not self.kinds.any()

    def pack(self) -> bytes:
        """The wire form."""
        parts = [_COUNT.pack(len(self.runs)), np.array(self.runs, dtype="<u4").tobytes()]
        if not self.is_plain:
            parts += [self.kinds.tobytes(), self.others.astype("<u4").tobytes()]
        flat = b"".join(parts)
        return b"\0" + flat if len(flat) <= _FLAT_BYTES else b"\1" + zlib.compress(flat, 1)

    @classmethod
    def of_runs(cls, runs: Sequence[tuple[int, int]], page_bytes: int) -> PagePlan:
        """Every page as it is."""
        at = page_offsets(np.array(runs, dtype=np.int64).reshape(-1, 2), page_bytes + WORD_BYTES)
        return cls(tuple(runs), at, np.zeros(len(at), np.uint8), np.empty(0, np.int64))

    @classmethod
    def unpack(cls, packed: bytes | memoryview, raw_bytes: int, page_bytes: int) -> PagePlan:
        """:raises FrameError: it does not fit a batch of ``raw_bytes``; nothing larger than that is allocated."""
        flat = _flat(packed, _COUNT.size + 13 * (raw_bytes // page_bytes))
        (count,) = _COUNT.unpack_from(flat)
        kinds_at = _COUNT.size + 8 * count
        if kinds_at > len(flat):
            raise FrameError(f"page plan of {len(flat)} bytes cannot hold {count} runs")
        runs = np.frombuffer(flat, dtype="<u4", count=2 * count, offset=_COUNT.size).astype(np.int64).reshape(-1, 2)
        stride = page_bytes + WORD_BYTES
        ends = runs[:, 0] + runs[:, 1] * stride - WORD_BYTES
        begins = runs[:, 0] - WORD_BYTES
        if count and (
            (runs[:, 1] == 0).any() or begins[0] < 0 or (begins[1:] < ends[:-1]).any() or ends[-1] > raw_bytes
        ):
            raise FrameError(f"page plan names pages that do not lie in a batch of {raw_bytes} bytes")
        kinds, others = _kinds(flat[kinds_at:], int(runs[:, 1].sum()))
        pairs = tuple((offset, count) for offset, count in runs.tolist())
        return cls(pairs, page_offsets(runs, stride), kinds, others)


def _kinds(rest: memoryview, pages: int) -> tuple[_Kinds, _Index]:
    if not rest:
        return np.zeros(pages, np.uint8), np.empty(0, np.int64)
    kinds, others = np.frombuffer(rest, dtype=np.uint8)[:pages], rest[pages:]
    if len(kinds) != pages or (kinds > _OTHER).any() or len(others) != 4 * np.count_nonzero(kinds == _OTHER):
        raise FrameError(f"page plan does not say what each of its {pages} pages is")
    return kinds, np.frombuffer(others, dtype="<u4").astype(np.int64)


def _flat(packed: bytes | memoryview, most_bytes: int) -> memoryview:
    rest, deflated = memoryview(packed)[1:], bytes(packed[:1])
    if deflated == b"\1":
        inflater = zlib.decompressobj()
        try:
            rest = memoryview(inflater.decompress(rest, most_bytes))
        except zlib.error as exc:
            raise FrameError(f"page plan of {len(packed)} bytes does not inflate: {exc}") from exc
        if not inflater.eof or inflater.unused_data:
            raise FrameError(f"page plan of {len(packed)} bytes is longer, shorter or larger than its batch allows")
    elif deflated != b"\0":
        raise FrameError(f"page plan of {len(packed)} bytes is of no known form")
    if not _COUNT.size <= len(rest) <= most_bytes:
        raise FrameError(f"page plan of {len(rest)} bytes, where its batch allows {_COUNT.size} to {most_bytes}")
    return rest


@dataclass(frozen=True, slots=True)
class Relative:
    """A batch made relative to the cache: what a codec gets, as long as the batch, and the packed plan."""

    body: memoryview
    plan: bytes


@dataclass(slots=True)
class CacheCounts:
    """Pages that went by; of them those whose slot held an older version, those sent as a difference, and those sent as a
    reference to an equal page of another place."""

    pages: int = 0
    hits: int = 0
    differences: int = 0
    duplicates: int = 0


class _Slots:
    """The memory. It is taken as slots are filled, in huge pages where the kernel has them: a first touch of 128 MiB took
    0.02 s so, 0.06 s in a shared mapping, which has none (2 cores, 2026-11-25, n=2)."""

    def __init__(self, cache_bytes: int, page_bytes: int) -> None:
        self.count = max(1, cache_bytes // page_bytes)
        self._page_bytes = page_bytes
        memory = mmap.mmap(-1, self.count * page_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._pages: _Pages = np.frombuffer(memory, dtype=f"V{page_bytes}")

    def put(self, slots: _Index, raw: memoryview, at: _Index) -> None:
        """Keep the pages of ``raw`` that begin at ``at``; of two for one slot, the later."""
        pages, stride = each_offset(raw, self._page_bytes), self._page_bytes + WORD_BYTES
        ends = np.flatnonzero((np.diff(slots) != 1) | (np.diff(at) != stride)) + 1
        if len(ends) * _SHORTEST_RUN > len(at):
            self._pages[slots] = pages[at]
            return
        for begin, end in itertools.pairwise((0, *ends.tolist(), len(at))):
            slot, offset, count = int(slots[begin]), int(at[begin]), end - begin
            self._pages[slot : slot + count] = pages[offset : offset + (count - 1) * stride + 1 : stride]

    def words(self, slots: _Index) -> _Words:
        """A copy of what is kept there: a row for each slot."""
        return _as_words(self._pages[slots])


class SenderCache:
    """Knows which page is in which slot, and finds pages that are equal to one of another place."""

    def __init__(self, cache_bytes: int, page_bytes: int) -> None:
        self.counts = CacheCounts()
        self.page_bytes = page_bytes
        self._slots = _Slots(cache_bytes, page_bytes)
        self._there = np.full(self._slots.count, -1, dtype=np.int64)
        self._slot_of_key = np.full(1 << _HASH_BITS, -1, dtype=np.int64)
        self._key_there = np.zeros(1 << _HASH_BITS, dtype=np.uint64)

    def relative(self, batch: PageBatch) -> Relative:
        """``batch`` against what is kept; then all of it is kept. Batches come in the order of the stream."""
        plan = PagePlan.of_runs(batch.runs, batch.page_bytes)
        if not len(plan.at):
            return Relative(batch.raw, plan.pack())
        numbers = _page_numbers(batch.raw, plan.at, batch.page_bytes)
        own = numbers % self._slots.count
        known = np.flatnonzero(self._there[own] == numbers)
        near, differences = self._differences(batch, plan, own, known)
        plan.kinds[near] = _OWN
        keys = _keys(batch.raw, plan.at, batch.page_bytes)
        twins, slots = self._twins(batch, plan, keys)
        plan.kinds[twins] = _OTHER
        body = batch.raw
        if not plan.is_plain:
            body = _copy(batch.raw)
            target = each_offset(body, batch.page_bytes)
            target[plan.at[near]] = _as_pages(differences)
            target[plan.at[twins]] = np.zeros(len(twins), dtype=target.dtype)
        self._slots.put(own, batch.raw, plan.at)
        self._there[own] = numbers
        places = _places(keys)
        self._slot_of_key[places], self._key_there[places] = own, keys
        self._count(len(known), plan.kinds)
        return Relative(body, PagePlan(plan.runs, plan.at, plan.kinds, slots).pack())

    def _differences(self, batch: PageBatch, plan: PagePlan, own: _Index, known: _Index) -> tuple[_Index, _Words]:
        """Of the pages at ``known``, those that are near to what their slot holds, and their differences."""
        differences = self._slots.words(own[known])
        differences ^= _as_words(each_offset(batch.raw, batch.page_bytes)[plan.at[known]])
        near = np.count_nonzero(differences, axis=1) <= _MOST_CHANGED_WORDS
        return known[near], differences[near]

    def _twins(self, batch: PageBatch, plan: PagePlan, keys: _Words) -> tuple[_Index, _Index]:
        """Pages, among those that are not near to an older version, that are equal to a kept page, and its slots."""
        places = _places(keys)
        slots = self._slot_of_key[places]
        rows = np.flatnonzero((slots >= 0) & (self._key_there[places] == keys) & (plan.kinds == _AS_IS))
        if len(rows):
            words = _as_words(each_offset(batch.raw, batch.page_bytes)[plan.at[rows]])
            rows = rows[(words == self._slots.words(slots[rows])).all(axis=1)]
        return rows, slots[rows]

    def _count(self, hits: int, kinds: _Kinds) -> None:
        counts = self.counts
        counts.pages += len(kinds)
        counts.hits += hits
        counts.differences += int(np.count_nonzero(kinds == _OWN))
        counts.duplicates += int(np.count_nonzero(kinds == _OTHER))


class ReceiverCache:
    """Follows what the sender decides. ``restore``, have the digest checked, ``put``: in the order of the stream."""

    def __init__(self, cache_bytes: int, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self._slots = _Slots(cache_bytes, page_bytes)

    def restore(self, plan: PagePlan, body: memoryview) -> memoryview:
        """The batch. :raises FrameError: the plan names a slot that there is not."""
        if plan.is_plain:
            return body
        if len(plan.others) and int(plan.others.max()) >= self._slots.count:
            raise FrameError(f"page plan names slot {int(plan.others.max())} of {self._slots.count}")
        bases = _page_numbers(body, plan.at, self.page_bytes) % self._slots.count
        bases[plan.kinds == _OTHER] = plan.others
        rows = np.flatnonzero(plan.kinds)
        raw = _copy(body)
        target = each_offset(raw, self.page_bytes)
        words = self._slots.words(bases[rows])
        words ^= _as_words(target[plan.at[rows]])
        target[plan.at[rows]] = _as_pages(words)
        return raw

    def put(self, plan: PagePlan, raw: memoryview) -> None:
        """Keep every page of a batch that was restored right."""
        if len(plan.at):
            self._slots.put(_page_numbers(raw, plan.at, self.page_bytes) % self._slots.count, raw, plan.at)


def _page_numbers(raw: memoryview, at: _Index, page_bytes: int) -> _Index:
    """By the 8 bytes before each page. Where they are not a record's word they are a number all the same, at both ends."""
    words = each_offset(raw, WORD_BYTES)[at - WORD_BYTES].view(">u8").astype(np.uint64)
    return (words >> np.uint64(page_bytes.bit_length() - 1)).astype(np.int64)


def _keys(raw: memoryview, at: _Index, page_bytes: int) -> _Words:
    """A number for each page, from a few of its words."""
    words = each_offset(raw, WORD_BYTES)
    mixed = np.zeros(len(at), np.uint64)
    for sample in _SAMPLES:
        mixed = (mixed ^ words[at + sample * WORD_BYTES % page_bytes].view(np.uint64)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _places(keys: _Words) -> _Index:
    return (keys >> np.uint64(64 - _HASH_BITS)).astype(np.int64)


def _as_words(pages: _Pages) -> _Words:
    return pages.view(np.uint64).reshape(len(pages), pages.dtype.itemsize // 8)


def _as_pages(words: _Words) -> _Pages:
    return words.reshape(-1).view(f"V{words.shape[1] * 8}")


def _copy(raw: memoryview) -> memoryview:
    return memoryview(np.array(np.frombuffer(raw, np.uint8)).data)
