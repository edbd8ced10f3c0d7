"""Network namespaces where they work, and the relay elsewhere: the kind of link for whoever names none."""

from __future__ import annotations

from harness.links.contract import ChosenLink, Link
from harness.links.netns import NetnsLink, PacketSettings
from harness.links.relay import RelayLink
from harness.scenario.kinds import LinkSettings


class AutoSettings(PacketSettings):
    """Network namespaces where they work, else the relay; the reason is recorded."""

    kind: str = "auto"


class AutoLink(Link):
    """Never a link itself, so it makes none of what a link has."""

    settings = AutoSettings
    summary = "namespaces where they work, else the relay; a delay goes to the relay"

    @classmethod
    def choose(cls, given: LinkSettings) -> ChosenLink:
        """A delay is the relay's, and packets to lose have namespaces alone; else a trial of namespaces decides."""
        netns = NetnsLink.choose(given)
        if isinstance(given, PacketSettings) and given.loss:
            return ChosenLink(netns.kind, given, "auto: only network namespaces lose packets")
        if given.delay_s or given.jitter_s:
            why = "a delay, which the relay makes without TCP's own limits over a distance; netns has those"
            return ChosenLink(RelayLink, given, f"auto: {why}")
        if (missing := NetnsLink.missing()) is not None:
            return ChosenLink(RelayLink, given, f"auto: no network namespaces here: {missing}")
        return ChosenLink(netns.kind, given, "auto: root, and a trial of network namespaces worked")
