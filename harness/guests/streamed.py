"""Guests that are a stream alone, replayed without QEMU into a sink that hashes it: what a scenario may say of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal, Self

from harness.scenario.fault import Fault, shown
from harness.scenario.kinds import GuestKind, GuestSettings
from harness.streams.memory.settings import MemorySettings

__all__ = ["Recorded", "RecordedSettings", "Synthetic", "SyntheticSettings"]


class RecordedSettings(GuestSettings):
    """A recorded migration stream."""

    has_qemu: ClassVar[bool] = False

    kind: Literal["stream"] = "stream"
    path: str
    """The file that `pageferry record` made; in a scenario relative to the scenario's own file."""

    def located(self, folder_of: Callable[[str], Path]) -> Self:
        """A stream that can be opened now, rather than found missing when its first run starts."""
        path = folder_of("path") / self.path
        if not path.is_file():
            reason = "is not a file" if path.exists() else "there is no such file"
            raise Fault(("path",), f"{shown(str(path))}: {reason}: record one with pageferry record")
        if not os.access(path, os.R_OK):
            raise Fault(("path",), f"{shown(str(path))}: may not be read: check its permissions")
        return self.model_copy(update={"path": str(path)})


class SyntheticSettings(MemorySettings):
    """A generated migration stream, as of a guest with such memory."""

    has_qemu: ClassVar[bool] = False

    kind: Literal["synthetic"] = "synthetic"


class Recorded(GuestKind):
    """Its stream is a file."""

    settings = RecordedSettings
    summary = "a recorded migration stream, replayed into a sink that hashes it"


class Synthetic(GuestKind):
    """Its stream is generated once."""

    settings = SyntheticSettings
    summary = "a generated migration stream, replayed into a sink that hashes it"
