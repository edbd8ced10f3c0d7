"""What a place must offer so that parties of a migration can run there. Knows no concrete host; ``HOSTS`` names the kinds."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.hosts.child import Child
from harness.kinds import Kinds

__all__ = ["HOSTS", "ClockOffset", "Host"]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What a host's wall clock is ahead of ours, and by how much that may be wrong."""

    seconds: float = 0.0
    error_s: float = 0.0


class Host(abc.ABC):
    """A machine, or a part of one, as its processes see it. ``address``: where those at the link's other end reach it."""

    address: str

    @abc.abstractmethod
    def child(self, argv: Sequence[str], *, log: Path) -> Child:
        """A process there, not yet started, whose output goes to ``log`` on this machine."""

    @abc.abstractmethod
    def open_run_dir(self, logs: Path, needs_bytes: int = 0) -> AbstractContextManager[Path]:
        """A private folder there for sockets and dumps, under a short path; ``*.log`` and ``*.json`` end up in ``logs``.

        :raises MissingError: there is no place for it. :raises ResultError: the logs cannot be kept.
        """

    @abc.abstractmethod
    def clock_offset(self) -> ClockOffset:
        """Of its wall clock, on which its QEMU stamps events."""


HOSTS = Kinds("host", Host, {"local": "harness.hosts.local:Local", "namespace": "harness.hosts.namespace:Namespace"})
