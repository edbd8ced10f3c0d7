"""What every link between the source and the destination of a migration gives. Knows no concrete link."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Literal, Self

from harness.hosts.contract import Host
from harness.hosts.local import HERE

__all__ = ["Link", "LinkCounters"]


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Bytes that crossed the link since it was made, from source to destination and back, as the link counts them."""

    forward_wire_bytes: int
    return_wire_bytes: int


class Link(abc.ABC):
    """A context manager: entering makes the link, leaving removes it, however the run ends.

    Its two hosts are there from the beginning and run something once it is made. The destination listens at its host's address, on
    any port; ``connect_address`` says where the source reaches that port. ``reason`` says why this kind was chosen, where it
    was chosen for the user.
    """

    kind: ClassVar[Literal["netns", "relay"]]
    counts: ClassVar[str]
    """What ``counters`` counts, in words for the report."""

    def __init__(
        self,
        bandwidth_bytes_per_s: int | None,
        reason: str | None = None,
        *,
        source: Host = HERE,
        destination: Host = HERE,
    ) -> None:
        self.bandwidth_bytes_per_s = bandwidth_bytes_per_s
        self.reason = reason
        self.source = source
        self.destination = destination

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """One sentence for the report: kind, rate and its parameters."""

    @abc.abstractmethod
    def connect_address(self, destination_port: int) -> tuple[str, int]:
        """Where the source's side connects to reach ``destination_port``. Call it on an entered link."""

    @abc.abstractmethod
    def counters(self) -> LinkCounters:
        """Cheap enough for 50 looks a second (well below 1 ms). :raises PeerError: the link has gone."""

    @abc.abstractmethod
    def set_bandwidth(self, bytes_per_s: int) -> None:
        """Change the rate of an open link that has one, both ways. What waits stays, and so do the counters."""

    @abc.abstractmethod
    def another(self) -> Link:
        """A link like this one, not yet made."""

    @abc.abstractmethod
    def open(self) -> None:
        """Make the link. :raises MissingError: this machine cannot."""

    @abc.abstractmethod
    def close(self) -> None:
        """Remove the link. May be called twice."""

    def __enter__(self) -> Self:
        """Make the link; nothing is left of one that could not be made whole."""
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the link."""
        self.close()
