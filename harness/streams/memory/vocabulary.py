"""The small change of guest memory: words, log fields, machine instructions, values of heap slots. Fixed; nothing random.

Numbers that only have to look arbitrary are products with an odd constant, so that they are the same everywhere.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Item = TypeVar("_Item")
Words = npt.NDArray[np.uint64]
_ODD = 2654435761
_u = np.uint64

_COMMON = (
    "the to for of a is in on and not with from failed started device connection request by at service unit using "
    "session user new status no error set file closed read memory state timeout driver network process enabled host "
    "port client server address loaded mode version interface was has be this will that after before while cannot "
    "module kernel system update cache queue packet buffer page block sector volume mount table index key value node "
    "cluster leader peer reply retry limit size bytes seconds total free used active idle stopped running finished "
    "accepted refused invalid unknown missing expected found open write lock thread worker pool task event signal"
)
_HEADS = "con re de pro in tra sub ex per dis mon syn in al ver ac com ob pre ser"
_MIDDLES = "fi ta ne lo ri ma to se vi du pa gi ke ra bo"
_TAILS = "on er ing ed al ty ment s le ion ance ic"


def words() -> list[bytes]:
    """English as machines write it, commonest first; each word with its space."""
    made = [head + middle + tail for middle in _MIDDLES.split() for tail in _TAILS.split() for head in _HEADS.split()]
    return [f"{word} ".encode() for word in (*_COMMON.split(), *_shuffled(made)[:900])]


def log_groups() -> dict[str, list[bytes]]:
    """The fields of a log line, by name. A line is date, minute, second, fraction, process, level, words, two numbers."""
    processes = (
        "kernel",
        "systemd",
        "sshd",
        "nginx",
        "postgres",
        "dockerd",
        "kubelet",
        "cron",
        "rsyslogd",
        "dhclient",
        "qemu-ga",
        "chronyd",
    )
    return {
        "date": [f"Nov {day:2d} ".encode() for day in range(1, 31)],
        "minute": [f"{minute // 60:02d}:{minute % 60:02d}:".encode() for minute in range(1440)],
        "second": [f"{second:02d}.".encode() for second in range(60)],
        "fraction": [f"{fraction:03d} ".encode() for fraction in range(1000)],
        "process": [f"{processes[i % 12]}[{_arbitrary(i) % 30000}]: ".encode() for i in range(60)],
        "level": [b"INFO ", b"INFO ", b"", b"", b"DEBUG ", b"", b"WARN ", b"", b"ERROR ", b"INFO "],
        "decimal": [f"{_arbitrary(i) % 10 ** (1 + i % 5)}".encode() for i in range(4096)],
        "hex": [f" 0x{_arbitrary(i) * _ODD % (1 << 48):012x}\n".encode() for i in range(8192)],
        "end": [b"\n"],
    }


def opcodes() -> list[tuple[bytes, int]]:
    """Instructions up to their operand, commonest first, with the index of the operand's group."""
    first = [
        *((b"\x48\x8b\x45", 1), (b"\xe8", 2), (b"\x48\x89\xc7", 0), (b"\x48\x8b\x44\x24", 1), (b"\x85\xc0", 0)),
        *((b"\x74", 4), (b"\x48\x89\x45", 1), (b"\x31\xc0", 0), (b"\x48\x8d\x3d", 2), (b"\x0f\x84", 3), (b"\xc3", 0)),
        *((b"\x48\x83\xc4", 1), (b"\xbf", 3), (b"\x48\x85\xc0", 0), (b"\x48\x8b\x05", 2), (b"\x75", 4), (b"\x5d", 0)),
        *((b"\xe9", 3), (b"\x55\x48\x89\xe5", 0), (b"\x48\x83\xec", 1), (b"\x0f\x1f\x44\x00\x00", 0), (b"\x5b", 0)),
        *((b"\x41\x5c", 0), (b"\x41\x5d\x41\x5e", 0), (b"\xf3\x0f\x1e\xfa", 0), (b"\x89\xc6", 0), (b"\xc7\x45", 1)),
    ]
    made = []
    for operation in (0x8B, 0x89, 0x8D, 0x03, 0x2B, 0x3B, 0x85, 0x33, 0x39, 0x63, 0x23):
        for rex in (b"\x48", b"", b"\x4c", b"\x49", b"\x44", b"\x41"):
            for mode, kind in ((0xC0, 0), (0x40, 1), (0x80, 3)):
                made += [(rex + bytes((operation, mode | low)), kind) for low in range(3, 64, 5)]
    return first + _shuffled(made)


def operand_groups() -> list[list[bytes]]:
    """None; byte displacements; code and data addresses relative to here; 32-bit numbers; byte offsets of jumps."""
    return [
        [b""],
        [bytes((step * 8 % 256,)) for step in (*range(1, 16), *range(17, 32))],
        [(_arbitrary(i) % (1 << 17 + i % 5)).to_bytes(3, "little") + bytes((-(i & 1) & 255,)) for i in range(6000)],
        [(_arbitrary(i) % (8 << i % 12)).to_bytes(4, "little") for i in range(2000)],
        [bytes((2 + i * 3 % 125,)) for i in range(100)],
    ]


HEAP_KINDS = (
    *(("zero", 44), ("pointer", 21), ("small", 11), ("vtable", 6), ("pair", 6)),
    *(("string", 6), ("flags", 3), ("hash", 2), ("poison", 1)),
)
"""Kinds of 8-byte slots in the layouts of objects, and how many of 100 slots are of each."""

_STRINGS = (
    "/usr/lib",
    "x86_64-l",
    "localhos",
    "application/json",
    "root",
    "127.0.0.",
    "https://",
    "Content-",
    "name=val",
    "config.d",
)


def heap_values(kind: str, random: Words) -> Words:  # noqa: PLR0911 - a table of formulas
    """Candidates for a slot of this kind, made from as many random numbers."""
    if kind == "pointer":
        return _u(0x7F3A00000000) + ((random & _u(3)) << _u(24)) + (random >> _u(50) << _u(6))
    if kind == "small":
        bits = np.arange(len(random), dtype=np.uint64) * _u(12) // _u(len(random))
        return random & ((_u(1) << bits) - _u(1))
    if kind == "vtable":
        return _u(0x55D0C8A00000) + ((random & _u(0x3F)) << _u(5))
    if kind == "pair":
        return ((random >> _u(8)) & _u(0x3F)) << _u(32) | (random & _u(0xFF))
    if kind == "string":
        texts = [int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "little") for text in _STRINGS]
        return np.array(texts, dtype=np.uint64)[(random % _u(len(texts))).astype(np.int64)]
    if kind == "flags":
        return _u(1) << (random & _u(31))
    return np.full_like(random, 0x6B6B6B6B6B6B6B6B if kind == "poison" else 0)


def heap_spread(kind: str) -> int:
    """Bits of a fresh random number that are added to a candidate."""
    return {"pointer": 0x30, "hash": 0xFFFFFFFF, "pair": 0xF}.get(kind, 0)


def _arbitrary(number: int) -> int:
    return (number + 1) * _ODD % (1 << 32) * 40503 >> 8


def _shuffled(items: list[_Item]) -> list[_Item]:
    return [item for _, item in sorted(enumerate(items), key=lambda pair: _arbitrary(pair[0]) * _ODD % 1000003)]
