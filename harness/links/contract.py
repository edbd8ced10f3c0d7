"""What every link between the source and the destination of a migration gives. Knows no concrete link."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar, Self

from harness.errors import UserError
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.scenario.kinds import LINKS, LinkKind, LinkSettings


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """Bytes that crossed the link since it was made, from source to destination and back, as the link counts them."""

    forward_wire_bytes: int
    return_wire_bytes: int


class Link(LinkKind, abc.ABC):
    """A context manager: entering makes the link, leaving removes it, however the run ends.

    Its two hosts are there from the beginning and run something once it is made. The destination listens at its host's address, on
    any port; ``connect_address`` says where the source reaches that port. ``given``: its kind's ``settings``.
    """

    counts: ClassVar[str]
    """What ``counters`` counts, in words for the report."""

    counts_headers: ClassVar[bool]
    """Whether that has the packets' headers in it."""

    shares_cpu: ClassVar[bool]
    """Whether a process of the link takes CPU time from both parties, as no link of production does."""

    far: ClassVar[bool] = False
    """Whether its hosts are other machines, which are there once it is open."""

    def __init__(self, given: LinkSettings, source: Host = HERE, destination: Host = HERE) -> None:
        self.given = given
        self.source = source
        self.destination = destination

    @classmethod
    def choose(cls, given: LinkSettings) -> ChosenLink:
        """Before the first run: what is left of killed ones goes, and a kind that stands for several says which one it is."""
        return ChosenLink(cls, given, f'link.kind = "{given.kind}"')

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """One sentence for the report, which its kind opens: rate and parameters. True of the link before it is made, too."""

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

    def __exit__(self, *_: object) -> None:
        """Remove the link."""
        self.close()


@dataclass(frozen=True, slots=True)
class ChosenLink:
    """A kind and what it is told, from which each run gets a link of its own. ``reason`` says why this kind."""

    kind: type[Link]
    given: LinkSettings
    reason: str

    def make(self) -> Link:
        """One that is not open yet."""
        return self.kind(self.given)

    def describe(self) -> dict[str, str | bool]:
        """For a result's environment."""
        return {
            "link": self.make().description,
            "link_counts": self.kind.counts,
            "link_counts_headers": self.kind.counts_headers,
            "link_shares_cpu": self.kind.shares_cpu,
            "link_reason": self.reason,
        }


def choose_link(given: LinkSettings) -> ChosenLink:
    """The link of all runs of a scenario. :raises UserError: what claims to be this kind is no link."""
    kind = LINKS.load(given.kind)
    if not issubclass(kind, Link):
        raise UserError(f"link kind {given.kind!r} ({kind.__module__}:{kind.__qualname__}) is not a Link")
    return kind.choose(given)
