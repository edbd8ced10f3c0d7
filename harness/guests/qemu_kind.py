"""What a kind of guest in QEMU must give, so that all the rest of handling QEMU is shared. Knows no concrete kind."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.guests.console import Consoles, Feed
from harness.guests.verify import MemoryLayout, Verdict
from harness.scenario.kinds import GUESTS
from harness.scenario.model import USUAL_GUEST
from harness.units import PAGE_BYTES

__all__ = ["CONSOLE", "QemuKind", "Writes", "usual_kind"]

CONSOLE = "console"
"""The character device on which the guest talks."""


@dataclass(frozen=True, slots=True)
class Writes:
    """The guest's count of pages written, and when it was heard (monotonic)."""

    pages: int
    at_s: float

    def rate_bytes_per_s(self, later: Writes, stopped_s: float) -> float | None:
        """What the guest wrote from here to ``later``, per second that it ran; ``stopped_s`` of them it stood still."""
        ran_s = later.at_s - self.at_s - stopped_s
        return (later.pages - self.pages) * PAGE_BYTES / ran_s if ran_s > 0 else None


class QemuKind(abc.ABC):
    """Both QEMUs get ``arguments``; the consoles' bytes go through ``feed``, one for each. A side is "source" or "destination"."""

    @classmethod
    @abc.abstractmethod
    def probe_arguments(cls, folder: Path) -> list[str]:
        """QEMU's for the smallest guest of this kind that beats, with a ``GuestMemory``'s. ``folder``: for files that it needs."""

    @staticmethod
    @abc.abstractmethod
    def feed() -> Feed:
        """Turns the bytes of one console into events, ``Beat`` and ``GuestFailure`` among them."""

    @property
    @abc.abstractmethod
    def layout(self) -> MemoryLayout:
        """Which of its memory can be compared after a migration."""

    @abc.abstractmethod
    def arguments(self, *, boots: bool) -> list[str]:
        """QEMU's beside machine, processors and memory. What only the source is given, as its guest ``boots``, comes to the
        destination with the migration."""

    @abc.abstractmethod
    def wait_ready(self, consoles: Consoles, since_s: float, timeout_s: float) -> None:
        """Until the source's guest, let go at ``since_s``, does what it is there for. :raises QemuError: it does not."""

    @abc.abstractmethod
    def written(self, consoles: Consoles, side: str) -> Writes:
        """How many pages the guest has written so far, by its own count. :raises QemuError: it does not say."""

    @abc.abstractmethod
    def check(self, consoles: Consoles) -> Sequence[Verdict]:
        """What the guest, on the destination by now, finds when it checks itself. Silence is a failed check, too."""


def usual_kind() -> type[QemuKind]:
    """The kind of guest that a scenario has which names none."""
    kind = GUESTS.load(USUAL_GUEST)
    assert issubclass(kind, QemuKind)  # noqa: S101 - for the type checker: it is one of ours
    return kind
