"""Seeded data of the kinds that guest memory is made of, for ``conformance``. Knows no backend."""

from __future__ import annotations

import functools
import random
import zlib

__all__ = ["KINDS", "sample"]

KINDS = ("zero", "runs", "text", "elf", "heap", "random", "packed", "skewed", "far")
"""All zero; short repeats of bytes; words; a program's code; pointers and counts; incompressible; the output of another
compressor; Fibonacci frequencies, whose Huffman code is deeper than DEFLATE's 15 bits; repeats at and beyond the window's edge,
with lengths around DEFLATE's 3 and 258."""

_WORDS = 2000
_SKEWED_SYMBOLS = 22
"""Their counts sum to 46366: less than one block of any deflate holds, so that they share a Huffman code."""
_WINDOW_BYTES = 32768
_DISTANCES = (1, 2, 3, 4, 255, 256, 257, 4096, 24577, _WINDOW_BYTES - 1, _WINDOW_BYTES, _WINDOW_BYTES + 1, 65536)
_LENGTHS = (3, 4, 10, 11, 130, 257, 258, 259, 515)
_PERIOD_BYTES = 192 << 10
"""Text and runs repeat after so many bytes: beyond deflate's window, and cheap to make for the largest batch."""


def sample(kind: str, size_bytes: int, seed: int = 0) -> bytes:
    """``size_bytes`` of ``kind``, the same on every machine."""
    if kind == "zero":
        return bytes(size_bytes)
    if kind == "random":
        return _rng(kind, seed).randbytes(size_bytes)
    period = _period(kind, seed, min(size_bytes, _PERIOD_BYTES))
    return (period * (size_bytes // len(period) + 1))[:size_bytes]


@functools.lru_cache(maxsize=64)
def _period(kind: str, seed: int, size_bytes: int) -> bytes:
    return _PERIODIC[kind](_rng(kind, seed), size_bytes)


def _rng(kind: str, seed: int) -> random.Random:
    return random.Random(f"{kind}-{seed}")  # noqa: S311 - test data, not secrets


def _runs(rng: random.Random, size_bytes: int) -> bytes:
    parts = [bytes([rng.randrange(256)]) * rng.randrange(1, 64) for _ in range(size_bytes // 24 + 1)]
    return b"".join(parts)


def _text(rng: random.Random, size_bytes: int) -> bytes:
    words = [bytes(rng.choices(range(97, 123), k=rng.randrange(2, 11))) for _ in range(_WORDS)]
    return b" ".join(rng.choices(words, k=size_bytes // 5 + 1))


def _packed(rng: random.Random, size_bytes: int) -> bytes:
    return zlib.compress(_text(rng, 3 * size_bytes + 64), 9)


def _elf(rng: random.Random, size_bytes: int) -> bytes:
    head = b"\x7fELF\x02\x01\x01" + bytes(57)
    encodings = [rng.randbytes(rng.randrange(1, 5)) for _ in range(300)]
    near = [rng.randrange(1 << 16).to_bytes(4, "little") for _ in range(400)]
    pieces = zip(rng.choices(encodings, k=size_bytes // 4 + 1), rng.choices(near, k=size_bytes // 4 + 1), strict=True)
    return head + b"".join(opcode + displacement for opcode, displacement in pieces)


def _heap(rng: random.Random, size_bytes: int) -> bytes:
    base = 0x7F00_0000_0000 + rng.randrange(1 << 32)
    words = (
        rng.choice((0, rng.randrange(256), base + 16 * rng.randrange(1 << 14), base))
        for _ in range(size_bytes // 8 + 1)
    )
    return b"".join(word.to_bytes(8, "little") for word in words)


def _skewed(rng: random.Random, size_bytes: int) -> bytes:
    counts = [1, 1]
    while len(counts) < _SKEWED_SYMBOLS:
        counts.append(counts[-1] + counts[-2])
    block = bytearray(b"".join(bytes([symbol]) * count for symbol, count in enumerate(counts)))
    rng.shuffle(block)
    return bytes(block) * (size_bytes // len(block) + 1)


def _far(rng: random.Random, size_bytes: int) -> bytes:
    data = bytearray(rng.randbytes(_WINDOW_BYTES))
    while len(data) < size_bytes:
        distance = min(rng.choice(_DISTANCES), len(data))
        for _ in range(rng.choice(_LENGTHS)):
            data.append(data[-distance])
        data += rng.randbytes(1)
    return bytes(data)


_PERIODIC = {
    "runs": _runs,
    "text": _text,
    "elf": _elf,
    "heap": _heap,
    "packed": _packed,
    "skewed": _skewed,
    "far": _far,
}
