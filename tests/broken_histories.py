"""Backends with history for the conformance suite: one that keeps the contract, and others that each break it in one way."""

from __future__ import annotations

import zlib

from planted_backends.base import Good

from backends.api import BackendInfo


class Stateful(Good):
    """Keeps its window between batches."""

    info = BackendInfo(name="stateful", stateful=True)
    sum = 0

    def __init__(self, level=None, **options):
        super().__init__(level, **options)
        self._deflater, self._inflater = zlib.compressobj(1), zlib.decompressobj()

    def hold(self, data):
        packed = self._deflater.compress(data)
        self.sum = zlib.crc32(packed, self.sum)
        return packed

    def compress(self, data):
        packed, rest = self.hold(data), self._deflater.flush(zlib.Z_SYNC_FLUSH)
        total, self.sum = zlib.crc32(rest, self.sum), 0
        return packed + rest + total.to_bytes(4, "little")

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        if len(data) < 4 or int.from_bytes(data[-4:], "little") != zlib.crc32(data[:-4]):
            raise self._error(f"{len(data)} bytes have another sum inside")
        try:
            raw = self._inflater.decompress(data[:-4], raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes or self._inflater.unconsumed_tail or self._inflater.unused_data:
            raise self._error(f"{len(data)} bytes are not a batch of {raw_bytes}")
        return raw


class HoldsNothing(Stateful):
    hold = Good.hold


class ForgetsWhatItHeld(Stateful):
    def hold(self, data):
        super().hold(data[: len(data) // 2] if len(data) == 4096 else data)
        return b""


class KeepsWhatItHolds(Stateful):
    def hold(self, data):
        self.kept = memoryview(data)
        return super().hold(data)

    def compress(self, data):
        return super().compress(bytes(data))


class MixesItsThreads(Stateful):
    def compress(self, data):
        return super().compress(bytes(data)[::-1] if self.threads > 1 and len(data) > 4096 else data)


class HiddenState(Stateful):
    info = BackendInfo(name="hidden-state")
