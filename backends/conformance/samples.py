"""Seeded data of the kinds that guest memory is made of, for ``conformance``. Knows no backend."""

from __future__ import annotations

import functools
import random
import zlib

__all__ = ["KINDS", "sample"]

KINDS = ("zero", "runs", "text", "random", "packed")
"""All zero; short repeats of bytes; words; incompressible; the output of another compressor."""

_WORDS = 2000
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


_PERIODIC = {"runs": _runs, "text": _text, "packed": _packed}
