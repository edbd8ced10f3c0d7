"""Backends that are broken in a broken contract."""

from __future__ import annotations

import ctypes
import time

from planted_backends.base import Good, planted


@planted("keeps-input", "contract.ownership", "compress, text: the input is still held after the call")
class KeepsInput(Good):
    """Holds a batch's buffer after the call."""

    def compress(self, data):
        self.kept = memoryview(data)
        return super().compress(data)


@planted("takes-any-level", "contract.levels", "level 0 is accepted")
class TakesAnyLevel(Good):
    """Looks at no level."""

    @classmethod
    def _checked_level(cls, level):
        return 1


@planted("crashes-on-nothing", "contract.round-trip", "killed by SIGSEGV")
class CrashesOnNothing(Good):
    """Reads through a null pointer where a batch is empty."""

    def compress(self, data):
        return super().compress(data) if len(data) else ctypes.string_at(0)


@planted("stalls", "contract.deterministic", "contract.py")
class Stalls(Good):
    """Never returns from a batch of 60,000 bytes."""

    def compress(self, data):
        if len(data) == 60_000:
            time.sleep(3600)
        return super().compress(data)


@planted("forgets-what-it-held", "contract.hold", "are not a batch of 2", stateful=True)
class ForgetsWhatItHeld(Good):
    """Keeps a history, and gives with a batch only what came with that."""

    def hold(self, _data):
        return b""
