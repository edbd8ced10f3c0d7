"""What guest memory holds, class by class: endless seeded streams of pages. Knows no mix, no file, no guest.

The same seed gives the same bytes on every machine. Text and code are joined from tokens, heap is drawn slot by slot;
messages, basic blocks and object layouts come back within tens of KiB, as they do in real memory, so that a codec gains
from units larger than a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Protocol

import numpy as np

from harness.streams.memory import vocabulary
from harness.streams.memory.settings import PageClass
from harness.streams.memory.tokens import Bytes, Ids, Raw, Tokens, zipf

PAGE_BYTES = 4096
BLOCK_PAGES = 256
"""Pages are made in blocks of 1 MiB; block n of a class depends on seed, class and n only."""

BLOCK_BYTES = BLOCK_PAGES * PAGE_BYTES
_PAGE_WORDS = PAGE_BYTES // 8


def _shuffled(raw: Raw, many: int) -> Ids:
    return np.argsort(raw.words(many), kind="stable")


class _Woven:
    """A class made of pieces of a pool that is joined token by token once: that is slow, copying pieces is not.

    Measured on a 2-core AMD EPYC under load, 2026-11-22: joining 20-80 MB/s, copying pieces 1100-2100 MB/s.
    A piece begins where a line or a basic block begins. Two of the 64 KiB that a codec sees at once have one in 64
    bytes from the same place of the pool.
    """

    POOL_BYTES = 4 << 20
    PIECE_BYTES = 1024

    def __init__(self, tokens: Tokens, rows: Iterator[Ids]) -> None:
        parts, begins, have = [], [], 0
        while have < self.POOL_BYTES + self.PIECE_BYTES:
            ids = next(rows)
            ends = np.cumsum(tokens.lengths[ids].sum(axis=1))
            begins.append(have + np.concatenate(([0], ends[:-1])))
            parts.append(tokens.join(ids.reshape(-1)))
            have += int(ends[-1])
        self.pieces = np.lib.stride_tricks.sliding_window_view(np.concatenate(parts), self.PIECE_BYTES)
        begin = np.concatenate(begins)
        self.begins = begin[begin < self.POOL_BYTES]

    def block(self, raw: Raw) -> Bytes:
        chosen = self.begins[raw.below(BLOCK_BYTES // self.PIECE_BYTES, len(self.begins))]
        return np.asarray(self.pieces[chosen].reshape(-1))


class _Text(_Woven):
    """Log lines: date, time, process, a message that comes back or a new one, numbers. Few messages at a time."""

    LINES = 2048
    WORDS = 9
    MESSAGES = 200
    NEAR = 32
    NEAR_MESSAGES = 3
    NEAR_NUMBERS = 3
    NEW_PER_65536 = 4000

    def __init__(self, seed: int) -> None:
        raw = Raw(seed, 1)
        words = vocabulary.words()
        strings = [*words]
        self.first = {}
        for name, group in vocabulary.log_groups().items():
            self.first[name] = (len(strings), len(group))
            strings += group
        self.word_table = zipf(len(words), 3)
        self.message_table = zipf(self.MESSAGES, 5)
        self.messages = self._words(raw, self.MESSAGES)
        self.message_process = raw.below(self.MESSAGES, self.first["process"][1])
        super().__init__(Tokens.of(strings), (self._lines(raw, self.LINES * part) for part in count()))

    def _words(self, raw: Raw, messages: int) -> Ids:
        return self.word_table[raw.below(messages * self.WORDS, 65536)].reshape(-1, self.WORDS)

    def _group(self, name: str, index: Ids) -> Ids:
        first, size = self.first[name]
        return first + index % size

    def _number(self, raw: Raw, name: str) -> Ids:
        size = self.first[name][1]
        return self._group(name, raw.local(self.LINES, self.NEAR, self.NEAR_NUMBERS, lambda n: raw.below(n, size)))

    def _lines(self, raw: Raw, line: int) -> Ids:
        """Ids of the tokens of ``LINES`` lines, a row each; ``line`` numbers the first."""
        ids = np.empty((self.LINES, self.WORDS + 8), dtype=np.int64)
        second = (line + np.arange(self.LINES)) // 7
        message = raw.local(
            self.LINES, self.NEAR, self.NEAR_MESSAGES, lambda n: self.message_table[raw.below(n, 65536)]
        )
        ids[:, 0] = self._group("date", second // 86400)
        ids[:, 1] = self._group("minute", second // 60)
        ids[:, 2] = self._group("second", second)
        ids[:, 3] = self._group("fraction", raw.below(self.LINES, 1000))
        ids[:, 4] = self._group("process", self.message_process[message])
        ids[:, 5] = self._group("level", message)
        ids[:, 6:-2] = self.messages[message]
        new = raw.below(self.LINES, 65536) < self.NEW_PER_65536
        ids[new, 6:-2] = self._words(raw, int(new.sum()))
        ids[:, -2] = self._number(raw, "decimal")
        ids[:, -1] = np.where(message % 3 == 0, self._number(raw, "hex"), self._group("end", message))
        return ids


class _Code(_Woven):
    """Instructions of x86-64: an opcode with its ModRM, then the operand that it takes. Few basic blocks at a time."""

    BLOCKS = 4096
    INSTRUCTIONS = 6
    KNOWN = 2000
    NEAR = 128
    NEAR_BLOCKS = 24
    NEW_PER_65536 = 4000

    def __init__(self, seed: int) -> None:
        raw = Raw(seed, 2)
        opcodes = vocabulary.opcodes()
        strings = [skeleton for skeleton, _ in opcodes]
        first, size = [], []
        for group in vocabulary.operand_groups():
            first.append(len(strings))
            size.append(len(group))
            strings += group
        self.kind = np.array([kind for _, kind in opcodes], dtype=np.int64)
        self.first, self.size = np.array(first), np.array(size)
        self.opcode_table = zipf(len(opcodes), 6)
        self.known = self._instructions(raw, self.KNOWN)
        self.known_table = zipf(self.KNOWN, 20)
        super().__init__(Tokens.of(strings), (self._basic_blocks(raw) for _ in count()))

    def _instructions(self, raw: Raw, blocks: int) -> Ids:
        """Ids of opcode, operand, opcode ...: a row for each basic block."""
        many = blocks * self.INSTRUCTIONS
        opcode = self.opcode_table[raw.below(many, 65536)]
        kind = self.kind[opcode]
        choice = np.minimum(raw.below(many, 65536), raw.below(many, 65536))  # small operands are the common ones
        operand = self.first[kind] + ((choice * self.size[kind]) >> 16)
        return np.stack((opcode, operand), axis=1).reshape(blocks, -1)

    def _basic_blocks(self, raw: Raw) -> Ids:
        near = raw.local(self.BLOCKS, self.NEAR, self.NEAR_BLOCKS, lambda n: self.known_table[raw.below(n, 65536)])
        new = raw.below(self.BLOCKS, 65536) < self.NEW_PER_65536
        return self.known[np.where(new, raw.below(self.BLOCKS, self.KNOWN), near)]


class _Heap:
    """Objects of one type per run of pages: pointers, counts, flags, strings, and zeros where objects were freed."""

    TYPES = 64
    OBJECT_WORDS = (6, 8, 12, 16, 24, 32, 64, 128)
    CHOICES = 256
    FREED_PER_65536 = 9000

    def __init__(self, seed: int) -> None:  # noqa: ARG002 - programs' types do not depend on the run
        raw = Raw(3)
        names = [name for name, _ in vocabulary.HEAP_KINDS]
        kind_of_slot = np.repeat(np.arange(len(names)), [share for _, share in vocabulary.HEAP_KINDS])
        self.values = np.stack([vocabulary.heap_values(name, raw.words(self.CHOICES)) for name in names])
        self.spread = np.array([vocabulary.heap_spread(name) for name in names], dtype=np.uint64)
        sizes = np.resize(np.array(self.OBJECT_WORDS), self.TYPES)
        slots = [kind_of_slot[raw.below(int(size), len(kind_of_slot))] for size in sizes]
        self.kinds = np.stack([np.resize(of_object, _PAGE_WORDS) for of_object in slots])
        self.objects = np.arange(_PAGE_WORDS) // sizes[:, None]

    def block(self, raw: Raw) -> Bytes:
        types = np.repeat(_shuffled(raw, self.TYPES), BLOCK_PAGES // self.TYPES)
        kinds = self.kinds[types]
        random = raw.words(kinds.size).reshape(kinds.shape)
        choice = (random & np.uint64(self.CHOICES - 1)).astype(np.int64)
        choice = choice * choice // self.CHOICES  # some values are commoner than others
        words = self.values[kinds, choice] + ((random >> np.uint64(16)) & self.spread[kinds])
        most = _PAGE_WORDS // min(self.OBJECT_WORDS) + 1
        freed = raw.below(BLOCK_PAGES * most, 65536).reshape(BLOCK_PAGES, -1) < self.FREED_PER_65536
        words[np.take_along_axis(freed, self.objects[types], axis=1)] = 0
        return words.astype("<u8").view(np.uint8).reshape(-1)


class _Random:
    """Encrypted or compressed already: every bit is random."""

    def __init__(self, seed: int) -> None:
        pass

    def block(self, raw: Raw) -> Bytes:
        return raw.words(BLOCK_BYTES // 8).view(np.uint8)


class _Zero:
    """Nothing."""

    def __init__(self, seed: int) -> None:
        pass

    def block(self, raw: Raw) -> Bytes:  # noqa: ARG002 - nothing is random here
        return np.zeros(BLOCK_BYTES, dtype=np.uint8)


class _Duplicate:
    """Copies of a few pages of text, code and heap: shared libraries, page cache, forked processes."""

    SOURCES: tuple[PageClass, ...] = ("text", "code", "heap")
    EACH = 64

    def __init__(self, seed: int) -> None:
        step = BLOCK_PAGES // self.EACH
        firsts = [next(blocks(name, seed)).reshape(-1, PAGE_BYTES)[::step] for name in self.SOURCES]
        self.pool = np.concatenate(firsts)

    def block(self, raw: Raw) -> Bytes:
        turns = [_shuffled(raw, len(self.pool)) for _ in range(-(-BLOCK_PAGES // len(self.pool)))]
        return np.asarray(self.pool[np.concatenate(turns)[:BLOCK_PAGES]].reshape(-1))


class _Maker(Protocol):
    def block(self, raw: Raw) -> Bytes:
        """A block's bytes."""


_CLASSES: dict[PageClass, tuple[int, Callable[[int], _Maker]]] = {
    "zero": (0, _Zero),
    "text": (1, _Text),
    "code": (2, _Code),
    "heap": (3, _Heap),
    "random": (4, _Random),
    "duplicate": (5, _Duplicate),
}


def blocks(page_class: PageClass, seed: int) -> Iterator[Bytes]:
    """The pages of a class, ``BLOCK_PAGES`` at a time, without end."""
    number, make = _CLASSES[page_class]
    maker = make(seed)
    return (maker.block(Raw(seed, number, block)) for block in count(1))


class PageStream:
    """The pages of a class, as many at a time as are asked for."""

    def __init__(self, page_class: PageClass, seed: int) -> None:
        self._blocks = blocks(page_class, seed)
        self._left = np.empty((0, PAGE_BYTES), dtype=np.uint8)

    def take(self, out: Bytes, rows: Ids) -> None:
        """Write the next pages into the rows of ``out`` that ``rows`` names."""
        done = 0
        while done < len(rows):
            if not len(self._left):
                self._left = next(self._blocks).reshape(-1, PAGE_BYTES)
            now = self._left[: len(rows) - done]
            out[rows[done : done + len(now)]] = now
            self._left = self._left[len(now) :]
            done += len(now)
