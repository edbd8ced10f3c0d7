"""Backends that are broken in wrong output."""

from __future__ import annotations

from planted_backends.base import EMPTY_BLOCK, Good, flipped, planted


@planted("short-output", "contract.round-trip", "1 bytes of zero: BackendError")
class ShortOutput(Good):
    """Its output lacks the tail."""

    def compress(self, data):
        return super().compress(data)[:-1] if len(data) else super().compress(data)


@planted(
    "leaves-input", "contract.consumed", "of 2097153 bytes given, 2097152 are in the output, and the call succeeded"
)
class LeavesInput(Good):
    """Takes no more than 2 MiB, and reports success."""

    def compress(self, data):
        return super().compress(memoryview(data)[: 2 << 20])


@planted("flips-a-bit", "contract.round-trip", "gave 4095 bytes for 4095, different from byte 2000 on")
class FlipsABit(Good):
    """Changes one bit of its input on the way in."""

    def compress(self, data):
        return super().compress(flipped(data, 2000))


@planted("wrong-when-large", "contract.round-trip", "1048577 bytes of zero: gave 1048577 bytes for 1048577")
class WrongWhenLarge(Good):
    """Right up to 1 MiB."""

    def compress(self, data):
        return super().compress(flipped(data) if len(data) > 1 << 20 else data)


@planted("over-bound", "contract.bound", "more than the 1024 declared")
class OverBound(Good):
    """Puts 10 kB of padding before each batch, as the format allows."""

    def compress(self, data):
        return 2000 * EMPTY_BLOCK + super().compress(data)


@planted("not-deterministic", "contract.deterministic", "to two different outputs")
class NotDeterministic(Good):
    """Pads every other batch, and declares equal output."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return self.calls % 2 * EMPTY_BLOCK + super().compress(data)


@planted("only-itself", "crossing.encode", "restored by zlib")
class OnlyItself(Good):
    """Names a standard format, and puts a byte of its own before it."""

    def compress(self, data):
        return b"\x06" + super().compress(data)

    def decompress(self, data, raw_bytes):
        return super().decompress(memoryview(data)[1:], raw_bytes)


@planted("no-fixed-codes", "crossing.decode", "fixed codes: backend 'no-fixed-codes': cannot restore fixed codes")
class NoFixedCodes(Good):
    """Restores what zlib level 1 writes: of more than 1000 bytes, never a first block of fixed codes."""

    def decompress(self, data, raw_bytes):
        if len(data) > 1000 and data[0] >> 1 & 3 == 1:
            raise self._error("cannot restore fixed codes")
        return super().decompress(data, raw_bytes)


@planted("rarely-wrong", "endurance.rare", "batch 5000, of")
class RarelyWrong(Good):
    """Wrong once in 5000 calls of an instance."""

    calls = 0

    def compress(self, data):
        self.calls += 1
        return super().compress(data if self.calls % 5000 else flipped(data))
