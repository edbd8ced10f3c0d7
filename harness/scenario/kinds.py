"""The kinds of guests and links: what a user may write of each, and where each is built. Their modules are loaded by name.

A kind is a class of its own layer (``harness.guests.contract``, ``harness.links.contract``) that names its settings; adding one is
a module and a line here, or an entry point in the group ``pageferry.guests`` or ``pageferry.links``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, ValidationInfo, model_validator

from harness.errors import UserError
from harness.kinds import Kinds
from harness.names import unknown
from harness.results.doubt import Doubt
from harness.scenario.fault import Fault, shown
from harness.scenario.part import Bandwidth, Delay, Part, PositiveBandwidth, Seconds
from harness.units import format_bandwidth, format_bytes

MAX_DELAY_S = 10.0
MAX_UNDER_WAY_BYTES = 1 << 30


class KindSettings(Part):
    """A table whose ``kind`` says which keys it has."""

    kind: str

    @classmethod
    def others(cls) -> Mapping[str, type[KindSettings]]:
        """Kind -> settings, of all kinds beside which this one stands."""
        return {}

    @classmethod
    def stranger(cls, key: str, value: object, table: Mapping[str, Any]) -> str:
        """Names the kinds that have the key."""
        having = [f'kind = "{kind}"' for kind, other in cls.others().items() if key in other.toml_keys()]
        if not having:
            return super().stranger(key, value, table)
        mine = f'kind = "{table.get("kind", cls.model_fields["kind"].default)}"'
        return f"{shown(value)}: {mine} has no such key, {' and '.join(having)} {'has' if len(having) == 1 else 'have'}"


class GuestSettings(KindSettings):
    """``[guest]``: what is migrated."""

    has_qemu: ClassVar[bool] = True
    """Whether there are QEMUs to hold capabilities and parameters, or a stream alone."""

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """What of these settings makes every figure other than it seems."""
        return ()

    @classmethod
    def others(cls) -> Mapping[str, type[KindSettings]]:
        """Of all guests."""
        return _settings_of(GUESTS)

    def located(self, folder_of: Callable[[str], Path]) -> Self:  # noqa: ARG002 - most have no paths
        """With paths made absolute; ``folder_of(key)`` is what a key's path is relative to. :raises Fault: no such file."""
        return self


class LinkStep(Part):
    """``[[link.step]]``: another bandwidth from a time on."""

    after_s: Seconds = Field(alias="after")
    """When, counted from a migration's begin."""
    bandwidth_bytes_per_s: PositiveBandwidth = Field(alias="bandwidth")
    """The new bandwidth, both ways."""


class LinkSettings(KindSettings):
    """``[link]``: what every method of the scenario crosses."""

    kind: str = "auto"
    bandwidth_bytes_per_s: Bandwidth = Field(default=None, alias="bandwidth")
    """How much each direction carries; "unlimited" is no limit."""
    delay_s: Delay = Field(default=0.0, alias="delay")
    """Added in each direction, so that a round trip takes twice as long; at most 10 s, and 1 GiB under way at the bandwidth."""
    jitter_s: Delay = Field(default=0.0, alias="jitter")
    """Up to so much more delay, at random; at most 10 s."""
    tls: bool = False
    """Whether what crosses is encrypted, by TLS 1.3 with certificates made for each run: the halves', and QEMU's own migrations."""
    steps: tuple[LinkStep, ...] = Field(default=(), alias="step", strict=False)
    """Other bandwidths from some time on; there must be one to begin with."""

    @classmethod
    def others(cls) -> Mapping[str, type[KindSettings]]:
        """Of all links."""
        return _settings_of(LINKS)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.steps and self.bandwidth_bytes_per_s is None:
            raise Fault(("step",), 'needs a bandwidth to begin with: write bandwidth = "1Gbit/s" in [link]')
        for name, value_s in (("delay", self.delay_s), ("jitter", self.jitter_s)):
            if value_s > MAX_DELAY_S:
                raise Fault((name,), f"{value_s:g} s: must be at most {MAX_DELAY_S:g} s in each direction")
        fastest = max([self.bandwidth_bytes_per_s or 0, *(step.bandwidth_bytes_per_s for step in self.steps)])
        under_way = round(fastest * (self.delay_s + self.jitter_s))
        if under_way > MAX_UNDER_WAY_BYTES:
            length = f"{(self.delay_s + self.jitter_s) * 1e3:g} ms at {format_bandwidth(fastest)}"
            reason = f"{length} is {format_bytes(under_way)} under way, which would be held in memory"
            most = f"at most {format_bytes(MAX_UNDER_WAY_BYTES)}: shorten the delay or lower the bandwidth"
            raise Fault(("delay",), f"{reason}: {most}", because=("bandwidth",))
        return self


class GuestKind:
    """A kind of guest, by the name that ``guest.kind`` gives it. ``summary``: what it is, in a line."""

    settings: ClassVar[type[GuestSettings]] = GuestSettings
    summary: ClassVar[str] = ""


class LinkKind:
    """A kind of link, by the name that ``link.kind`` gives it. ``summary``: what it is, in a line."""

    settings: ClassVar[type[LinkSettings]] = LinkSettings
    summary: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> str | None:
        """Why there can be none on this machine, and what to do; None: there can."""
        return None


GUESTS = Kinds(
    "guest",
    GuestKind,
    {
        "stress": "harness.guests.stress.kind:Stress",
        "linux": "harness.guests.linux.kind:Linux",
        "image": "harness.guests.image.kind:Image",
        "stream": "harness.guests.streamed:Recorded",
        "synthetic": "harness.guests.streamed:Synthetic",
    },
)
LINKS = Kinds(
    "link",
    LinkKind,
    {
        "auto": "harness.links.auto:AutoLink",
        "netns": "harness.links.netns:NetnsLink",
        "relay": "harness.links.relay:RelayLink",
        "pair": "harness.links.pair:PairLink",
    },
)


def settings_for(kinds: Kinds[Any], default: str, table: object, info: ValidationInfo) -> object:
    """A table as the settings of the kind that it names; what is no table stays what it is. :raises Fault: no such kind."""
    if not isinstance(table, Mapping):
        return table
    kind = table.get("kind", default)
    if not isinstance(kind, str):
        raise Fault(("kind",), f"{shown(kind)}: must be one of {', '.join(kinds.names())}")
    if kind not in kinds.names():
        raise Fault(("kind",), unknown(f"{kinds.what} kind", kind, kinds.names()))
    try:
        settings: type[KindSettings] = kinds.load(kind).settings
    except UserError as exc:
        raise Fault(("kind",), str(exc)) from exc
    return settings.model_validate({"kind": kind, **table}, context=info.context)


def _settings_of(kinds: Kinds[Any]) -> dict[str, type[KindSettings]]:
    found = {}
    for name in kinds.names():
        try:
            found[name] = kinds.load(name).settings
        except UserError:  # somebody else's broken kind must not spoil what is said of this one
            continue
    return found
