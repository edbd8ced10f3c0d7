"""What a place must offer so that parties of a migration can run there. Knows no concrete host; ``HOSTS`` names the kinds."""

from __future__ import annotations

import abc
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from harness.hosts.ear import Ear
from harness.hosts.watched import Watched
from harness.kinds import Kinds

Given = TypeVarTuple("Given")
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What a host's wall clock is ahead of ours, and by how much that may be wrong."""

    seconds: float = 0.0
    error_s: float = 0.0


class Host(abc.ABC):
    """A machine, or a part of one, as its processes see it. ``address``: where those at the link's other end reach it.

    ``prefix`` goes before every command, and execs it. Paths are the host's own, but for logs. ``look_every_s``: how often is
    looked at what goes on there, as a look takes CPU time from it.
    """

    address: str
    prefix: tuple[str, ...] = ()
    look_every_s: float = 0.05

    @abc.abstractmethod
    def child(self, argv: Sequence[str], *, log: Path) -> Watched:
        """A process there, not yet started, whose output goes to ``log`` on this machine."""

    @abc.abstractmethod
    def program(self, *arguments: str) -> list[str]:
        """The command line of pageferry itself there, for ``child``."""

    @abc.abstractmethod
    def folder(self, run_dir: Path) -> Path:
        """Where it keeps what a run needs: ``run_dir`` itself, if it sees our files."""

    @abc.abstractmethod
    def bring(self, path: Path) -> Path:
        """A file of ours, where it is found there: copied if need be."""

    @abc.abstractmethod
    def call(self, function: Callable[[*Given], Told], *arguments: *Given) -> Told:
        """What ``function``, one of those that an agent answers, tells when it is called there. Raises what it raises."""

    @abc.abstractmethod
    def listener(self, path: Path) -> socket.socket:
        """Takes connections, here, that are made to the unix socket ``path`` there. Its caller closes it."""

    @abc.abstractmethod
    def near(self, path: Path) -> Path:
        """A unix socket here that leads to the one at ``path`` there."""

    @abc.abstractmethod
    def ear(self, path: Path) -> Ear:
        """At the unix socket ``path`` there. Its caller closes it. :raises OSError: nobody listens."""

    @abc.abstractmethod
    def port(self) -> int:
        """A TCP port of its address to listen on; 0: any."""

    @abc.abstractmethod
    def clock_offset(self) -> ClockOffset:
        """Of its wall clock, on which its QEMU stamps events."""


HOSTS = Kinds("host", Host, {"local": "harness.hosts.local:Local", "namespace": "harness.hosts.namespace:Namespace"})
