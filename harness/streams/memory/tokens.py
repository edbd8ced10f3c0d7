"""Seeded numbers and joined byte strings: what pages are made of. The same on every machine.

Whole numbers only, raw output of PCG64 (a stream that NumPy keeps stable), little-endian by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.int64]


class Raw:
    """Random numbers that are the same everywhere, for one place: ``key`` names it."""

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def words(self, many: int) -> npt.NDArray[np.uint64]:
        """Uniform 64-bit numbers."""
        return np.asarray(self._bits.random_raw(many), dtype="<u8")

    def below(self, many: int, limit: int) -> Ids:
        """Numbers from 0 to ``limit`` - 1, uniform to one part in 2**32 / limit."""
        halves = self.words(-(-many // 2)).view("<u4")[:many]
        return (halves.astype(np.int64) * limit) >> 32

    def local(self, many: int, group: int, few: int, draw: Callable[[int], Ids]) -> Ids:
        """``many`` of what ``draw`` gives, each ``group`` in a row taken from only ``few`` of them."""
        candidates = draw(many // group * few).reshape(-1, few)
        which = self.below(many, few).reshape(-1, group)
        return np.take_along_axis(candidates, which, axis=1).reshape(-1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Byte strings, back to back; a group of them is named by its first id and its size."""

    data: Bytes
    starts: Ids
    lengths: Ids

    @classmethod
    def of(cls, strings: Sequence[bytes]) -> Tokens:
        """Token n is ``strings[n]``."""
        lengths = np.array([len(string) for string in strings], dtype=np.int64)
        return cls(np.frombuffer(b"".join(strings), dtype=np.uint8), np.cumsum(lengths) - lengths, lengths)

    def join(self, ids: Ids) -> Bytes:
        """The tokens that ``ids`` names, one behind the other."""
        lengths = self.lengths[ids]
        ends = np.cumsum(lengths)
        source = np.repeat(self.starts[ids] - (ends - lengths), lengths)
        source += np.arange(len(source))
        return self.data.take(source)


def zipf(count: int, flatness: int) -> Ids:
    """65536 ids from 0 to ``count`` - 1, id i in proportion to 1 / (i + flatness); draw one by a 16-bit number."""
    weights = (1 << 40) // (np.arange(count, dtype=np.int64) + flatness)
    ends = np.cumsum(weights)
    return np.searchsorted(ends, (np.arange(65536, dtype=np.int64) * int(ends[-1])) >> 16, side="right")
