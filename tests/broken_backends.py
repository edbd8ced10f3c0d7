"""Backends for the conformance suite: one that keeps the contract, and others that each break it in one way."""

from __future__ import annotations

import ctypes
import time
import zlib

import numpy as np

from backends.api import Backend, BackendError, BackendInfo


class Good(Backend):
    """What a third party writes: the broken ones below differ from it in one place."""

    info = BackendInfo(name="good", levels=(1, 9), default_level=1)

    @classmethod
    def probe(cls):
        return "test 1"

    def compress(self, data):
        return zlib.compress(data, self.level)

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        inflater = zlib.decompressobj()
        try:
            raw = inflater.decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes or not inflater.eof or inflater.unused_data:
            raise self._error(f"{len(data)} bytes are not a batch of {raw_bytes}")
        return raw


class WrongByte(Good):
    def decompress(self, data, raw_bytes):
        raw = bytearray(super().decompress(data, raw_bytes))
        if len(raw) > 4096:
            raw[4096] ^= 1
        return raw


class WrongOnNdarray(Good):
    def compress(self, data):
        foreign = isinstance(data, memoryview) and isinstance(data.obj, np.ndarray)
        return super().compress(bytes(data)[::-1] if foreign else data)


class Text(Good):
    def decompress(self, data, raw_bytes):
        return super().decompress(data, raw_bytes).decode("latin-1")


class AcceptsShort(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            return zlib.decompressobj().decompress(data, raw_bytes or 1)
        except zlib.error as exc:
            raise self._error(str(exc)) from exc


class AcceptsTrailing(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        inflater = zlib.decompressobj()
        try:
            raw = inflater.decompress(data, raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(str(exc)) from exc
        if len(raw) != raw_bytes or not inflater.eof:
            raise self._error("size")
        return raw


class Unbounded(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            raw = zlib.decompress(data)
        except zlib.error as exc:
            raise self._error(str(exc)) from exc
        if len(raw) != raw_bytes or zlib.decompressobj().decompress(data) != raw:
            raise self._error("size")
        return raw


class ReturnsMoreThanAsked(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            return zlib.decompressobj().decompress(data) + b"\0"
        except zlib.error as exc:
            raise self._error(str(exc)) from exc


class PadsDamage(Good):
    """Without a checksum, and fills up what it could not read."""

    def compress(self, data):
        return zlib.compress(data, 1, -15)

    def decompress(self, data, raw_bytes):
        inflater = zlib.decompressobj(-15)
        try:
            return inflater.decompress(data)
        except zlib.error:
            return bytes(raw_bytes + 1)


class WrongException(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        return zlib.decompress(data, bufsize=raw_bytes)


class ManyLines(Good):
    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError as exc:
            raise self._error("damaged:\nsee above") from exc


class Nameless(Good):
    def decompress(self, data, raw_bytes):
        try:
            return super().decompress(data, raw_bytes)
        except BackendError as exc:
            raise BackendError("it did not work") from exc


class AllocatesFirst(Good):
    def decompress(self, data, raw_bytes):
        bytearray(max(0, min(raw_bytes, 1 << 23)))
        return super().decompress(data, raw_bytes)


class SharesScratch(Good):
    """One scratch buffer for all instances: works alone, mixes batches in company."""

    scratch = bytearray(1 << 23)

    def compress(self, data):
        packed = super().compress(data)
        self.scratch[: len(packed)] = packed
        time.sleep(0.0005)  # lets the others run
        return bytes(self.scratch[: len(packed)])


class KeepsTheGil(Good):
    def compress(self, data):
        ctypes.PyDLL(None).usleep(len(data) // 40)
        return zlib.compress(data, 0)


class KeepsInput(Good):
    def compress(self, data):
        self.kept = memoryview(data)
        return super().compress(data)


class ReturnsView(Good):
    """Stores, and hands the caller's own memory back."""

    def compress(self, data):
        return memoryview(data)

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        if len(data) != raw_bytes:
            raise self._error("size")
        return memoryview(data)


class ChangesInput(Good):
    def decompress(self, data, raw_bytes):
        raw = super().decompress(data, raw_bytes)
        if isinstance(data, bytearray):
            data[0] ^= 1
        return raw


class TakesAnyLevel(Good):
    @classmethod
    def _checked_level(cls, level):
        return 1


class TakesAnyOption(Good):
    @classmethod
    def _checked_options(cls, options):
        return options


class LevelBreaks(Good):
    def compress(self, data):
        return super().compress(data if self.level != 7 else data[1:])


class NeedsLevelToDecode(Good):
    def compress(self, data):
        return bytes([self.level]) + super().compress(data)

    def decompress(self, data, raw_bytes):
        if data[:1] != bytes([self.level]):
            raise self._error("another level's batch")
        return super().decompress(data[1:], raw_bytes)


class Counts(Good):
    """Writes a serial number into each batch: not deterministic, though it says so."""

    serial = 0

    def compress(self, data):
        Counts.serial += 1
        return Counts.serial.to_bytes(4, "little") + super().compress(data)

    def decompress(self, data, raw_bytes):
        return super().decompress(data[4:], raw_bytes)


class DiesAfterError(Good):
    failed = False

    def decompress(self, data, raw_bytes):
        if self.failed:
            raise self._error("is stuck")
        try:
            return super().decompress(data, raw_bytes)
        except BackendError:
            self.failed = True
            raise


class NotItsFormat(Good):
    info = BackendInfo(name="not-its-format", format="deflate", levels=(1, 9), default_level=1)


class OddInfo(Good):
    info = BackendInfo(name="odd", levels=(1, 9), default_level=12)


class OddBatch(Good):
    info = BackendInfo(name="odd", batch_bytes=5000)


class OddShare(Good):
    info = BackendInfo(name="odd", decompress_share=0)


class CountsWords(Good):
    def counters(self):
        return {"state": "fine"}


class CannotClose(Good):
    def close(self):
        raise OSError(9, "already closed")
