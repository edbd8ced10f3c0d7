"""Backends that each break the contract in one way, beside those of ``planted_backends`` that a qualification is shown as well."""

from __future__ import annotations

import zlib

import numpy as np
from planted_backends.base import Good

from backends.api import BackendError, BackendInfo


class WrongOnNdarray(Good):
    def compress(self, data):
        foreign = isinstance(data, memoryview) and isinstance(data.obj, np.ndarray)
        return super().compress(bytes(data)[::-1] if foreign else data)


class Text(Good):
    def decompress(self, data, raw_bytes):
        return super().decompress(data, raw_bytes).decode("latin-1")


class ReturnsMoreThanAsked(Good):
    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        try:
            return zlib.decompressobj(-15).decompress(data) + b"\0"
        except zlib.error as exc:
            raise self._error(str(exc)) from exc


class PadsDamage(Good):
    """Fills up what it could not read."""

    def decompress(self, data, raw_bytes):
        inflater = zlib.decompressobj(-15)
        try:
            return inflater.decompress(data)
        except zlib.error:
            return bytes(raw_bytes + 1)


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


class NotItsFormat(Good):
    info = BackendInfo(name="not-its-format", format="gzip", levels=(1, 9), default_level=1)


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
