"""The good backend, from which each broken one differs in one place, and the list of those."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from backends.api import Backend, BackendInfo, Buffer

EMPTY_BLOCK = b"\0\0\0\xff\xff"
"""A stored block of DEFLATE without bytes, and others behind it."""


class Good(Backend):
    """What a third party writes: raw DEFLATE by zlib. The broken ones differ from it in one place."""

    info = BackendInfo(name="good", levels=(1, 9), default_level=1, format="deflate")

    @classmethod
    def probe(cls):
        return "planted 1"

    def compress(self, data: Buffer) -> Buffer:
        return zlib.compress(data, self.level, -15)

    def decompress(self, data: Buffer, raw_bytes: int) -> Buffer:
        self._checked_raw_bytes(raw_bytes)
        inflater = zlib.decompressobj(-15)
        try:
            raw = inflater.decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes or not inflater.eof or inflater.unused_data:
            raise self._error(f"{len(data)} bytes are not a batch of {raw_bytes}")
        return raw


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken class, the id of the check that must find it, the words of its evidence, and whose thresholds it is held to."""

    cls: type[Backend]
    check_id: str
    words: str
    backend_class: str = "software"


PLANTED: dict[str, Fault] = {}


def planted(name: str, check_id: str, words: str, **info: object) -> Callable[[type[Good]], type[Good]]:
    """Name the class below, and list it. One with a device is an accelerator."""

    def add(cls: type[Good]) -> type[Good]:
        cls.info = replace(Good.info, name=name, **info)
        PLANTED[name] = Fault(cls, check_id, words, "accelerator" if "device" in info else "software")
        return cls

    return add


def flipped(data: Buffer, at: int = 0) -> bytes:
    """``data`` with one bit of byte ``at`` another."""
    flipped = bytearray(data)
    if at < len(flipped):
        flipped[at] ^= 1
    return bytes(flipped)
