"""Reads big-endian fields from a buffer that is still filling. Knows no format."""

from __future__ import annotations

import struct

import numpy as np

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class Incomplete(Exception):  # noqa: N818 - not an error: more bytes are needed
    """The item at hand is not all here yet."""


class Unfamiliar(Exception):  # noqa: N818 - not an error: the rest is carried as it is
    """The stream is fine, but its length cannot be known from here on; says why."""


class Cursor:
    """A buffer with bytes up to ``fill``, all complete items of which end at ``pos``. Reads beyond ``fill`` raise."""

    def __init__(self, size: int, tail: bytes | memoryview = b"") -> None:
        self.array = np.empty(size, dtype=np.uint8)
        self.view = memoryview(self.array.data)
        self.view[: len(tail)] = tail
        self.fill = len(tail)
        self.pos = 0

    def take(self, at: int, count: int) -> int:
        """The position behind ``count`` bytes, once they are all here."""
        if at + count > self.fill:
            raise Incomplete
        return at + count

    def u16(self, at: int) -> int:
        """Two bytes."""
        self.take(at, 2)
        value: int = _U16.unpack_from(self.view, at)[0]
        return value

    def u32(self, at: int) -> int:
        """Four bytes."""
        self.take(at, 4)
        value: int = _U32.unpack_from(self.view, at)[0]
        return value

    def u64(self, at: int) -> int:
        """Eight bytes."""
        self.take(at, 8)
        value: int = _U64.unpack_from(self.view, at)[0]
        return value

    def string(self, at: int) -> tuple[str, int]:
        """A byte of length and so many of text; the text and the position behind it."""
        self.take(at, 1)
        end = self.take(at + 1, self.view[at])
        return bytes(self.view[at + 1 : end]).decode("ascii", "replace"), end
