"""The conformance suite catches each way to break the contract, by the rule that is meant to catch it."""

from __future__ import annotations

import time
import zlib

import numpy as np
import pytest

from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable
from backends.conformance import RULES, check


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


class Stateful(Good):
    """Keeps its window between batches."""

    info = BackendInfo(name="stateful", stateful=True)

    def __init__(self, level=None, **options):
        super().__init__(level, **options)
        self._deflater, self._inflater = zlib.compressobj(1), zlib.decompressobj()

    def compress(self, data):
        packed = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        return len(packed).to_bytes(4, "little") + packed

    def decompress(self, data, raw_bytes):
        self._checked_raw_bytes(raw_bytes)
        if len(data) < 4 or int.from_bytes(data[:4], "little") != len(data) - 4:
            raise self._error(f"{len(data)} bytes have another length inside")
        try:
            raw = self._inflater.decompress(data[4:], raw_bytes + 1)
        except zlib.error as exc:
            raise self._error(f"damaged: {exc}") from exc
        if len(raw) != raw_bytes or self._inflater.unconsumed_tail or self._inflater.unused_data:
            raise self._error(f"{len(data)} bytes are not a batch of {raw_bytes}")
        return raw


@pytest.mark.parametrize("cls", [Good, Stateful])
def test_a_backend_that_keeps_the_contract_passes_every_rule(cls):
    findings = check(cls)
    assert [finding.id for finding in findings] == list(RULES)
    assert [finding for finding in findings if not finding.ok] == []


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


class HiddenState(Stateful):
    info = BackendInfo(name="hidden-state")


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


@pytest.mark.parametrize(
    ("cls", "rule", "says"),
    [
        (WrongByte, "round-trip", "4097 bytes of zero: gave 4097 bytes for 4097, different from byte 4096 on"),
        (WrongOnNdarray, "buffers", "compressed from ndarray.data: gave 20000 bytes"),
        (Text, "round-trip", "gave str, not a buffer of bytes"),
        (AcceptsShort, "truncated", "accepted, and gave"),
        (AcceptsShort, "wrong-size", "accepted, and gave"),
        (AcceptsTrailing, "trailing", "0 bytes of text with a zero behind: accepted"),
        (Unbounded, "bomb", "4194304 zeros of its own, asked for as 4096 bytes: took"),
        (ReturnsMoreThanAsked, "wrong-size", "accepted, and gave"),
        (PadsDamage, "damaged", "where 600 were asked for"),
        (WrongException, "damaged", "bit 0 flipped: error instead of BackendError: Error -3"),
        (WrongException, "truncated", "error instead of BackendError"),
        (ManyLines, "damaged", "not one line that names the backend"),
        (Nameless, "damaged", "not one line that names the backend: 'it did not work'"),
        (AllocatesFirst, "absurd-size", "bytes of memory to refuse"),
        (SharesScratch, "threads", ""),
        (KeepsInput, "ownership", "compress, text: the input is still held after the call"),
        (ReturnsView, "ownership", ""),
        (ChangesInput, "ownership", "decompress, text: the input was changed"),
        (TakesAnyLevel, "levels", "level 0 is accepted"),
        (TakesAnyOption, "options", "an unknown option is accepted"),
        (LevelBreaks, "levels", "level 7: BackendError: backend 'good'"),
        (Counts, "deterministic", "one instance compressed the same 60000 bytes to two different outputs"),
        (HiddenState, "order", ""),
        (DiesAfterError, "recovery", "is stuck"),
        (NotItsFormat, "format", "zlib says Error -3"),
        (OddInfo, "identity", "default level 12 is not among levels (1, 9)"),
        (OddBatch, "identity", "batch_bytes 5000 is not whole 4 KiB pages"),
        (OddShare, "identity", "decompress_share 0 is outside"),
        (CountsWords, "lifecycle", "counter 'state' is 'fine', not a number"),
        (CannotClose, "lifecycle", "already closed"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_broken_backend_is_caught_by_the_rule_for_it(cls, rule, says):
    (finding,) = check(cls, rules=[rule])
    assert not finding.ok
    assert says in finding.evidence
    assert "\n" not in finding.evidence


def test_a_level_that_only_its_writer_understands_is_caught():
    (finding,) = check(NeedsLevelToDecode, level=9, rules=["plain-receiver"])
    assert not finding.ok
    assert "another level's batch" in finding.evidence


def test_settings_reach_the_instances():
    seen = set()

    class Remembers(Good):
        info = BackendInfo(name="remembers", levels=(1, 9), default_level=1, options=("queue",))

        def compress(self, data):
            seen.add((self.level, self.options["queue"]))
            return super().compress(data)

    (finding,) = check(Remembers, level=6, options={"queue": 4}, rules=["deterministic"])
    assert finding.ok
    assert seen == {(6, 4)}


def test_a_backend_that_cannot_work_here_is_not_a_finding():
    class Absent(Good):
        @classmethod
        def probe(cls):
            raise BackendUnavailable("absent", "no card", "plug one in")

    with pytest.raises(BackendUnavailable, match="no card"):
        check(Absent)


def test_instances_are_closed_even_where_a_rule_is_broken():
    class Tracks(WrongByte):
        alive = 0

        def __init__(self, level=None, **options):
            super().__init__(level, **options)
            Tracks.alive += 1

        def close(self):
            Tracks.alive -= 1

    findings = check(Tracks, rules=["round-trip", "threads", "lifecycle", "ownership"])
    assert not all(finding.ok for finding in findings)
    assert Tracks.alive == 0
