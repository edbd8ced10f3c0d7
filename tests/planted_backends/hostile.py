"""Backends that are broken in hostile input."""

from __future__ import annotations

import os
import zlib

from backends.api import BackendError
from planted_backends.base import Good, planted


@planted("accepts-truncated", "hostile.truncated", "accepted, and gave")
class AcceptsTruncated(Good):
    """Asks for no end of a batch."""

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            raw = zlib.decompressobj(-15).decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes:
            raise self._error(f"{len(raw)} bytes, not {raw_bytes}")
        return raw


@planted("accepts-trailing", "hostile.trailing", "with a zero behind: accepted")
class AcceptsTrailing(Good):
    """Does not look behind the end of a batch."""

    def decompress(self, data, raw_bytes):
        inflater = zlib.decompressobj(-15)
        try:
            inflater.decompress(data, raw_bytes + 1)
        except (zlib.error, ValueError, OverflowError):
            return super().decompress(data, raw_bytes)
        return super().decompress(data[: len(data) - len(inflater.unused_data)], raw_bytes)


@planted("exits-on-damage", "hostile.damaged", "the process that ran it ended: exit status 3")
class ExitsOnDamage(Good):
    """Ends the process where a batch is damaged."""

    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError:
            os._exit(3)


@planted("raises-its-own", "hostile.wrong-size", "ValueError instead of BackendError")
class RaisesItsOwn(Good):
    """Lets its library's exception through."""

    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError as exc:
            raise ValueError(str(exc)) from exc


@planted("allocates-first", "hostile.absurd-size", "bytes of memory to refuse")
class AllocatesFirst(Good):
    """Takes the memory that a peer says it needs, up to 64 MiB."""

    def decompress(self, data, raw_bytes):
        bytearray(max(0, min(raw_bytes, 64 << 20)))
        return super().decompress(data, raw_bytes)


@planted("expands-bombs", "hostile.bomb", "bytes of memory to refuse")
class ExpandsBombs(Good):
    """Restores a batch whole before it looks at its size."""

    def decompress(self, data, raw_bytes):
        try:
            zlib.decompressobj(-15).decompress(data)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        return super().decompress(data, raw_bytes)


@planted("sticks", "hostile.recovery", "backend 'sticks': sticks in an error")
class Sticks(Good):
    """Refuses everything after its first refusal."""

    refused = False

    def decompress(self, data, raw_bytes):
        if self.refused:
            raise self._error("sticks in an error")
        self.refused = True
        raw = super().decompress(data, raw_bytes)
        self.refused = False
        return raw
