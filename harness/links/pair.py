"""A pair of hosts as a link: agents at both, the network between them, their interfaces' counters, and their rate where allowed."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from harness.errors import PeerError, UserError
from harness.hosts.agent.asked import await_caller, call_up
from harness.hosts.agent.host import AgentHost
from harness.hosts.agent.lease import hold_host
from harness.hosts.agent.ssh import ssh_argv
from harness.links.contract import ChosenLink, Link, LinkCounters
from harness.links.netns import tbf_settings
from harness.links.nic import look_at_nic, sent_bytes, shape_nic
from harness.scenario.inventory import Pair
from harness.scenario.kinds import LinkSettings
from harness.scenario.model import Scenario
from harness.units import format_bandwidth

_REACH_S = 20.0
_LEASE_S = 2.0
"""For whoever has just ended to be gone there too."""


class PairSettings(LinkSettings):
    """Two hosts and the network between them; `--pair NAME` writes this table from a file of hosts."""

    kind: str = "pair"
    name: str = "pair"
    """What the pair is called."""
    pair: Pair
    """Its hosts, as in a file of hosts."""


def across(scenario: Scenario, name: str, pair: Pair) -> Scenario:
    """The same over a pair's network. :raises UserError: no pair can have what it says of its link."""
    link = scenario.link
    if getattr(link, "loss", 0.0):
        raise UserError(f"--pair {name}: link.loss is the network's own here: leave it out")
    kept = {key: getattr(link, key) for key in LinkSettings.model_fields if key != "kind"}
    return scenario.model_copy(update={"link": PairSettings(**kept, name=name, pair=pair)})


@contextlib.contextmanager
def leased(link: LinkSettings, what: str, wait_s: float = _LEASE_S) -> Iterator[Reached | None]:
    """Both hosts, where it is a pair's, kept from whoever else asks for them so; ``what`` runs there.

    :raises UserError: somebody has one of them for ``wait_s``. :raises PageferryError: as ``Reached``.
    """
    if not isinstance(link, PairSettings):
        yield None
        return
    with contextlib.closing(Reached(link.pair)) as reached:
        reached.hold(what, wait_s)
        yield reached


class Reached:
    """Both hosts of a pair, connected. :raises PageferryError: one is not reached; or both are one."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        with contextlib.ExitStack() as stack, ThreadPoolExecutor(2, thread_name_prefix="connect") as pool:
            made = [pool.submit(self._host, name) for name in (pair.source, pair.destination)]
            for one in made:
                stack.callback(_close, one.result)
            self.source, self.destination = (one.result() for one in made)
            self._check_two()
            stack.pop_all()

    def close(self) -> None:
        """All that was started there ends."""
        with ThreadPoolExecutor(2, thread_name_prefix="disconnect") as pool:
            list(pool.map(AgentHost.close, (self.source, self.destination)))

    @property
    def stands(self) -> bool:
        """Whether both are still connected."""
        return self.source.connection.broken is None and self.destination.connection.broken is None

    def hold(self, what: str, wait_s: float = _LEASE_S) -> None:
        """Until it is closed. :raises UserError: somebody has one of them for ``wait_s``; says who, and since when."""
        who = f"{_user()}@{socket.gethostname()} ({what}, process {os.getpid()})"
        for host in (self.source, self.destination):
            host.call(hold_host, who, wait_s)

    def check_reach(self, timeout_s: float = _REACH_S) -> None:
        """:raises PeerError: the source does not reach the destination's port in time."""
        port, address = self.destination.port(), self._pair.address
        with ThreadPoolExecutor(1, thread_name_prefix="reach") as pool:
            heard = pool.submit(self.destination.call, await_caller, address, port, timeout_s)
            reached = self.source.call(call_up, address, port, timeout_s)
            if not (reached and heard.result()):
                raise PeerError(
                    f"{self._pair.source}: does not reach {address} port {port} of {self._pair.destination} within "
                    f"{timeout_s:g} s: look for a firewall between (ports {self._pair.ports}), or another address"
                )

    def _host(self, name: str) -> AgentHost:
        pair = self._pair
        return AgentHost(name, ssh_argv(name, pair.command, pair.ssh_config), pair.address, pair.port_range)

    def _check_two(self) -> None:
        ours, theirs = (host.connection.hello for host in (self.source, self.destination))
        if (ours.machine, ours.network) == (theirs.machine, theirs.network):
            raise UserError(
                f"{self._pair.source} and {self._pair.destination} are one host: a pair is two; without a second, leave "
                "--pair out"
            )


class PairLink(Link):
    """Agents at both hosts as long as it is open."""

    settings = PairSettings
    summary = "two hosts of a file of hosts, and the network between them; --pair NAME writes it"
    counts = "what each host's interface sent: headers and retransmissions, and whatever else passes there"
    counts_headers = True
    shares_cpu = False
    far = True

    def __init__(self, given: LinkSettings) -> None:
        super().__init__(given)
        assert isinstance(given, PairSettings)  # noqa: S101 - for the type checker: its kind's settings
        self._pair, self._name = given.pair, given.name
        self._reached: Reached | None = None

    @classmethod
    def choose(cls, given: LinkSettings) -> ChosenLink:
        """:raises UserError: it is to be other than its network is."""
        assert isinstance(given, PairSettings)  # noqa: S101
        place = f"--pair {given.name}"
        if given.delay_s or given.jitter_s:
            raise UserError(f"{place}: link.delay and link.jitter are the network's own here: leave them out")
        if given.bandwidth_bytes_per_s is not None and not given.pair.shape:
            raise UserError(
                f"{place}: link.bandwidth {format_bandwidth(given.bandwidth_bytes_per_s)}: its interfaces may not be limited: "
                "write shape = true for the pair, or --set link.bandwidth=unlimited"
            )
        return ChosenLink(cls, given, f"--pair {given.name}")

    @property
    def description(self) -> str:
        """Hosts, interfaces, rate."""
        pair, rate = self._pair, self.given.bandwidth_bytes_per_s
        near, far = pair.nics
        limit = "as fast as it is" if rate is None else f"limited to {format_bandwidth(rate)} (tc tbf both ways)"
        return f"pair {self._name}: {pair.source} ({near}) to {pair.destination} ({far}) at {pair.address}, {limit}"

    def connect_address(self, destination_port: int) -> tuple[str, int]:
        """The destination itself."""
        return self._pair.address, destination_port

    def counters(self) -> LinkCounters:
        """By the agents: two round trips."""
        near, far = self._pair.nics
        return LinkCounters(self.source.call(sent_bytes, near), self.destination.call(sent_bytes, far))

    def set_bandwidth(self, bytes_per_s: int) -> None:
        """Both ways. Burst and queue never shrink: see ``NetnsLink.set_bandwidth``."""
        before, after = tbf_settings(self.given.bandwidth_bytes_per_s or bytes_per_s), tbf_settings(bytes_per_s)
        burst, limit = max(before.burst_bytes, after.burst_bytes), max(before.limit_bytes, after.limit_bytes)
        self._shape(type(after)(after.rate_bits_per_s, burst, limit).arguments())

    def open(self) -> None:
        """Connect, look at both interfaces, see that one reaches the other, and limit their rate."""
        self._reached = reached = Reached(self._pair)
        self.source, self.destination = reached.source, reached.destination
        for host, nic in zip((self.source, self.destination), self._pair.nics, strict=True):
            host.call(look_at_nic, nic)
        reached.check_reach()
        if self.given.bandwidth_bytes_per_s is not None:
            self._shape(tbf_settings(self.given.bandwidth_bytes_per_s).arguments())

    def close(self) -> None:
        """The agents end, and with them the limits."""
        if self._reached is not None:
            self._reached.close()
            self._reached = None

    def _shape(self, queue: list[str]) -> None:
        for host, nic in zip((self.source, self.destination), self._pair.nics, strict=True):
            host.call(shape_nic, nic, queue)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # it has no name
        return str(os.getuid())


def _close(made: Callable[[], AgentHost]) -> None:
    """One that was made, after the other was not."""
    with contextlib.suppress(Exception):
        made().close()
