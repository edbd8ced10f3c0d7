"""What one trial needs of a guest kind, whether it runs in QEMU or is a stream that is replayed. Knows no concrete kind.

A ``Guest`` is opened once for a scenario and gives each trial a pair of ``Ends``: the migration's source and its destination.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from harness.errors import UserError
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.results.document import Scalar
from harness.results.doubt import Doubt
from harness.results.doubts import Unencrypted
from harness.results.work import GuestWork
from harness.scenario.kinds import GUESTS, GuestKind, GuestSettings
from harness.scenario.methods import Method
from harness.scenario.model import Scenario


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ends of one migration are. ``run_dir``: for sockets, logs and dumps, under a short path."""

    run_dir: Path
    source: Host
    destination: Host


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A migration in progress, ``t_s`` after its begin, as its source sees it; None: that cannot tell."""

    t_s: float
    passes: int | None = None
    remaining_bytes: int | None = None
    dirty_rate_bytes_per_s: float | None = None
    stream_bytes: int | None = None


Settings = TypeVar("Settings", bound=GuestSettings)
OnGlimpse = Callable[[Glimpse], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What both ends tell of one migration; the fields that ``Run`` has too mean what they mean there.

    ``gave_up``: why it was broken off; None: it ended. ``wrong``: what did not arrive. ``first_byte_s``: when it began, as glimpses
    count. ``raw``: ``stream_bytes`` are what a codec is given, so that a ratio can be told.
    """

    gave_up: str | None = None
    wrong: str | None = None
    first_byte_s: float = 0.0
    stream_bytes: int | None = None
    raw: bool = True
    passes: int | None = None
    total_time_s: float | None = None
    downtime_s: float | None = None
    downtime_error_s: float | None = None
    downtime_reported_s: float | None = None
    heartbeat_gap_s: float | None = None
    guest_dirty_rate_bytes_per_s: float | None = None
    work: GuestWork | None = None
    vcpu_s: float | None = None
    verified: bool | None = None
    verification: tuple[str, ...] = ()
    counters: Mapping[str, int | float] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()


class Ends(abc.ABC):
    """Source and destination of one migration. Calls come in this order, each once: listen, begin, migrate, examine; and before
    them ``encrypt``, where the link is to be encrypted and no pair does it.

    ``parameters``: what they were set to, as read back. ``cpu_s``: what tells the CPU time of those processes that count.
    ``confirms``: whether the destination tells the source that it has all. ``qmp``: the source QEMU's, where the method steers it.
    """

    parameters: Mapping[str, Scalar]
    cpu_s: Mapping[str, Callable[[], float]]
    confirms: bool
    qmp: Path | None = None

    @abc.abstractmethod
    def listen(self, address: str) -> str:
        """Let the destination wait for the stream at ``unix:PATH`` or ``tcp:HOST:0``; the address with its port.

        :raises PageferryError: it cannot.
        """

    def encrypt(self, folder: str, name: str) -> tuple[Doubt, ...]:  # noqa: ARG002 - most cannot
        """Have both speak TLS, with certificates in ``folder`` of each host's own that are for ``name``. What is to be said where
        they cannot."""
        return (Unencrypted(),)

    @abc.abstractmethod
    def begin(self) -> None:
        """Before the clock runs: all that is to be running runs. :raises PageferryError: it does not."""

    @abc.abstractmethod
    def migrate(self, address: str, timeout_s: float, on_glimpse: OnGlimpse) -> Crossing:
        """Migrate to ``address`` and wait for the end, or give up. :raises PageferryError: it failed."""

    @abc.abstractmethod
    def examine(self, crossing: Crossing) -> Crossing:
        """After the clock has stopped: what else is to be told, above all whether everything arrived."""


class Guest(GuestKind, abc.ABC):
    """One scenario's. ``folder_bytes``: the most that a migration keeps in its folder beside logs. ``tell``: is to be told what
    takes long while it is opened, in a sentence. ``hosts``: where its source and its destination are to be.
    """

    folder_bytes: int = 0
    travels: ClassVar[bool] = False
    """Whether its ends may be on other machines than ours."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.hosts: tuple[Host, Host] = (HERE, HERE)
        self.tell: Callable[[str], None] = lambda _: None

    @staticmethod
    def given_by(scenario: Scenario, settings: type[Settings]) -> Settings:
        """What ``scenario`` says of a guest of this kind. :raises UserError: it is of another."""
        if not isinstance(scenario.guest, settings):
            raise UserError(f"a guest of kind {scenario.guest.kind!r} has no {settings.__name__}")
        return scenario.guest

    @abc.abstractmethod
    def open(self) -> None:
        """Find out what is here and make what all trials share. :raises MissingError: something that it needs is not here."""

    def close(self) -> None:
        """Remove what was kept from one trial to the next."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Scalar]:
        """What was found and why, for the result's environment."""

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """Per page class of its memory: share, declared and measured ratio; empty where pages are of no class."""
        return {}

    @abc.abstractmethod
    def ends(self, method: Method, place: Place) -> AbstractContextManager[Ends]:
        """Both ends for one migration by ``method``, up but not begun; gone at the end, however it comes.

        :raises MissingError: not on this machine. :raises PageferryError: one does not start.
        """


def make_guest(scenario: Scenario) -> Guest:
    """The guest that a scenario names. :raises UserError: what claims to be this kind is none."""
    kind = GUESTS.load(scenario.guest.kind)
    if not issubclass(kind, Guest):
        raise UserError(f"guest kind {scenario.guest.kind!r} ({kind.__module__}:{kind.__qualname__}) is not a Guest")
    return kind(scenario)
