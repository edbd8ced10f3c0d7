"""What a kind of guest in QEMU must give, so that all the rest of handling QEMU is shared. Knows no concrete kind."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.guests.compare import Verdict
from harness.guests.console import Consoles, Feed
from harness.guests.contract import Place
from harness.qemu.process import QemuProcess
from harness.scenario.kinds import GUESTS
from harness.scenario.model import USUAL_GUEST
from harness.units import PAGE_BYTES

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


@dataclass(frozen=True, slots=True)
class Pulse:
    """How many heartbeats show that a guest runs undisturbed ``before`` a migration, and that it does so again ``after`` it."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Sides:
    """The QEMUs that there are, by side: "source", "destination". ``consoles`` has one of each."""

    qemus: Mapping[str, QemuProcess]
    consoles: Consoles
    place: Place


class QemuKind(abc.ABC):
    """Both QEMUs get ``arguments``; the consoles' bytes go through ``feed``, one for each.

    ``chardevs``: the character devices that its arguments name. ``ready_timeout_s``: how long it may take to get ready. ``pulse``:
    None where it has no heartbeat. ``holds``: at the end of a migration both sides stand still until ``compare`` has looked, and
    only then the guest goes on. ``work_unit``: what it counts, one of them, where its console tells ``Work``. ``state``: the file
    from which the source's guest begins; None: it boots.
    """

    chardevs: Sequence[str] = (CONSOLE,)
    ready_timeout_s: float = 60.0
    pulse: Pulse | None = None
    holds: bool = False
    work_unit: str = "operation"
    state: Path | None = None

    def prepare(self, folder: Path) -> list[str]:  # noqa: ARG002 - most need nothing there
        """Make in a migration's folder what both QEMUs share; their arguments for it. :raises PageferryError: it cannot be made."""
        return []

    @abc.abstractmethod
    def feed(self) -> Feed:
        """Turns the bytes of one console into events, ``Beat`` and ``GuestFailure`` among them."""

    @abc.abstractmethod
    def arguments(self, *, boots: bool) -> list[str]:
        """QEMU's beside machine, processors and memory. What only the source is given, as its guest ``boots``, comes to the
        destination with the migration."""

    @abc.abstractmethod
    def wait_ready(self, sides: Sides, since_s: float, timeout_s: float) -> None:
        """Until the source's guest, let go at ``since_s``, does what it is there for. :raises QemuError: it does not."""

    def written(self, sides: Sides, side: str) -> Writes | None:  # noqa: ARG002 - most guests do not count
        """How many pages the guest has written so far, by its own count; None: it has none. :raises QemuError: it does not say."""
        return None

    @abc.abstractmethod
    def compare(self, sides: Sides) -> Sequence[Verdict]:
        """Whether all memory arrived; empty: nobody looked. The destination's guest runs, or stands still if the kind ``holds``."""

    def wait_alive(self, sides: Sides) -> None:  # noqa: B027 - most are known to live by their heartbeat
        """Until the destination's guest does its work again. :raises QemuError: it does not: it came over dead."""


class Beating(QemuKind):
    """A kind of which a small guest shows at once whether it runs, so that an accelerator can be tried.

    ``first_beat_s``: when at the latest it has beaten under KVM.
    """

    first_beat_s: float = 3.0  # the stress guest takes 0.1 s (2-core AMD EPYC, 2026-11-22, n=10)

    @classmethod
    @abc.abstractmethod
    def probe_arguments(cls, folder: Path) -> list[str]:
        """QEMU's for the smallest guest of this kind that beats, with a ``GuestMemory``'s. ``folder``: for files that it needs."""

    @staticmethod
    @abc.abstractmethod
    def feed() -> Feed:
        """As any kind's."""


def usual_kind() -> type[Beating]:
    """The kind of guest that a scenario has which names none."""
    kind = GUESTS.load(USUAL_GUEST)
    assert issubclass(kind, Beating)  # noqa: S101 - for the type checker: it is one of ours
    return kind
