"""The kinds of which a scenario has one each, and what they may be told. A kind stands beside its settings, in a layer above."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from harness.kinds import Kinds
from harness.scenario.document import Fault
from harness.scenario.parts import AboveZero, Bandwidth, Delay, Part, Quantity, Seconds, with_unit
from harness.units import format_bandwidth, format_bytes, parse_bandwidth

__all__ = ["LINKS", "LinkKind", "LinkSettings", "LinkStep"]

MAX_DELAY_S = 10.0
MAX_UNDER_WAY_BYTES = 1 << 30


class LinkStep(Part):
    """Another bandwidth from a time on, counted from a migration's begin."""

    after_s: Seconds = Field(alias="after")
    bandwidth_bytes_per_s: Annotated[AboveZero, with_unit(parse_bandwidth), Quantity("bandwidth", "1Gbit/s")] = Field(
        alias="bandwidth"
    )


class LinkSettings(Part):
    """What every kind of link may be told; a kind with keys of its own extends it. With ``steps`` it has a bandwidth to begin with.

    ``delay`` is added in each direction, so that a round trip takes twice as long; ``jitter`` is up to so much more at random.
    ``loss`` is the share of packets that vanish, each way.
    """

    kind: str = "auto"
    bandwidth_bytes_per_s: Bandwidth = Field(default=None, alias="bandwidth")
    delay_s: Delay = Field(default=0.0, alias="delay")
    jitter_s: Delay = Field(default=0.0, alias="jitter")
    loss: float = Field(default=0.0, ge=0, le=0.5)
    steps: tuple[LinkStep, ...] = Field(default=(), alias="step", strict=False)

    def check(self) -> None:
        """The rules that span several keys. :raises Fault: one is broken."""
        if self.steps and self.bandwidth_bytes_per_s is None:
            raise Fault(("link", "step"), 'needs a bandwidth to begin with: write bandwidth = "1Gbit/s" in [link]')
        for name, value_s in (("delay", self.delay_s), ("jitter", self.jitter_s)):
            key = ("link", name)
            if value_s > MAX_DELAY_S:
                raise Fault(key, f"{value_s:g} s: must be at most {MAX_DELAY_S:g} s in each direction")
        fastest = max([self.bandwidth_bytes_per_s or 0, *(step.bandwidth_bytes_per_s for step in self.steps)])
        under_way = round(fastest * (self.delay_s + self.jitter_s))
        if under_way > MAX_UNDER_WAY_BYTES:
            length = f"{(self.delay_s + self.jitter_s) * 1e3:g} ms at {format_bandwidth(fastest)}"
            reason = f"{length} is {format_bytes(under_way)} under way, which would be held in memory"
            most = f"at most {format_bytes(MAX_UNDER_WAY_BYTES)}: shorten the delay or lower the bandwidth"
            raise Fault(("link", "delay"), f"{reason}: {most}", because=("link", "bandwidth"))


class LinkKind:
    """``links.contract.Link`` as far as a scenario knows it."""

    settings: ClassVar[type[LinkSettings]] = LinkSettings


LINKS = Kinds(
    "link",
    LinkKind,
    {
        "auto": "harness.links.auto:AutoLink",
        "netns": "harness.links.netns:NetnsLink",
        "relay": "harness.links.relay:RelayLink",
    },
)
