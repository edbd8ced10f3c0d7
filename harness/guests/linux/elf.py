"""Which shared libraries a program needs, read from its own file. No I/O: bytes go in, names come out.

Format: System V ABI, chapters 4 and 5; 64-bit little-endian files only, which is what an x86-64 guest runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_END, _NEEDED, _STRINGS = 0, 1, 5


@dataclass(frozen=True, slots=True)
class Needs:
    """``interpreter``: the path of what loads it, None where nothing must. ``libraries``: names without a folder."""

    interpreter: str | None = None
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    bytes: int


def needs(data: bytes) -> Needs:
    """Nothing, for what is no such file, or one cut short."""
    try:
        return _read(data) if data.startswith(_ELF64_LITTLE) else Needs()
    except (struct.error, ValueError, StopIteration):
        return Needs()


def _read(data: bytes) -> Needs:
    segments = list(_segments(data))
    interpreter = next((_text(data, one.offset) for one in segments if one.kind == _INTERPRETER), None)
    dynamic = next((one for one in segments if one.kind == _DYNAMIC), None)
    if dynamic is None:
        return Needs(interpreter)
    entries = list(_dynamic_entries(data, dynamic))
    strings = _offset(segments, next(value for tag, value in entries if tag == _STRINGS))
    return Needs(interpreter, tuple(_text(data, strings + value) for tag, value in entries if tag == _NEEDED))


def _segments(data: bytes) -> Iterator[_Segment]:
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, table + number * size)
        yield _Segment(kind, offset, address, length)


def _dynamic_entries(data: bytes, dynamic: _Segment) -> Iterator[tuple[int, int]]:
    for at in range(dynamic.offset, dynamic.offset + dynamic.bytes, 16):
        tag, value = struct.unpack_from("<QQ", data, at)
        if tag == _END:
            return
        yield tag, value


def _offset(segments: list[_Segment], address: int) -> int:
    """Where in the file that is which lies at ``address`` in memory."""
    home = next(one for one in segments if one.kind == _LOAD and one.address <= address < one.address + one.bytes)
    return address - home.address + home.offset


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
