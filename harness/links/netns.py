"""A link of two network namespaces, a veth pair and a token bucket (tc tbf) at both ends. Needs root.

Both namespaces carry the name of a claim, so that the next run can find and remove what a killed one left. Knows nothing of
what crosses the link.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from backends.children import module_argv
from harness.errors import MissingError, PeerError
from harness.hosts.child import Child
from harness.hosts.claims import Claim, remove_abandoned
from harness.hosts.namespace import Namespace
from harness.links.contract import ChosenLink, Link, LinkCounters
from harness.links.netlink import QueueCounter
from harness.scenario.kinds import LinkSettings
from harness.units import format_bandwidth, format_delay

_NAMESPACES = Path("/run/netns")
_CLAIMS = Path("/run/pageferry")
_INTERFACE = "pf0"
_READY, _READY_TIMEOUT_S = re.compile("ready$"), 60.0
_ONE_ADDRESS = "02:00:00:00:00:01"
# RFC 5737's documentation range: no route of the host can mean it, and each pair of namespaces has its own.
_SOURCE_HOST, _DESTINATION_HOST = "192.0.2.1", "192.0.2.2"
# Linux's usual default, so that two hosts compare: bbr, this host's, dropped 6354 of 15286 packets at 25 Mbit/s.
_CONGESTION_CONTROL = "cubic"

# Chosen on a 2-core AMD EPYC, 2026-11-22, Linux 6.18, cubic, one TCP flow of 3 s, n = 1 to 2 each; round trip beside it:
#   1 Gbit/s   burst 128 KB limit 512 KB   119.0 MB/s of payload (119.6 is possible)   2.4 ms median, no drops
#   10 Gbit/s  burst 1.25 MB limit 4 MB    1185 MB/s (1196)                            2.3 ms, no drops
#   25 Mbit/s  burst 16 KB limit 64 KB     2.990 MB/s (2.989)                          13 ms
#   25 Mbit/s  burst 4 KB limit 32 KB      2.986 MB/s                                  7.2 ms, 42 of 8533 packets dropped
# A millisecond of burst holds a 64 KB GSO packet from 0.5 Gbit/s on; below, tbf cuts such packets itself, and each segment wakes
# a processor that the migration needs: carrying 380 MB at 300 Mbit/s by "none" took 9.0 s of the pair's CPU time in segments, 2.4 s
# in whole packets, at equal total time; zstd-long was over after 3.65 s, and 2.79 s (2-core Intel Xeon, 2026-11-26, n=5 and 3).
# So a burst holds one wherever that is no longer than six milliseconds, which is from 100 Mbit/s on: there "none" took 32.2 s
# instead of 33.1 (31.8 is possible), for a bucket that is woken late loses what it could not hold (same machine and day, n=1).
_BURST_S, _MINIMUM_BURST_BYTES = 0.001, 4 << 10
_LIMIT_S, _MINIMUM_LIMIT_BYTES = 0.004, 32 << 10
_PACKET_BYTES, _PACKET_S, _PACKETS_LIMIT_BYTES = 72 << 10, 0.006, 160 << 10
# The unlimited link's queue only counts (veth has none of its own).
_COUNTING_QUEUE = ["pfifo", "limit", "10000"]


class PacketSettings(LinkSettings):
    """Of a link that has packets."""

    loss: float = Field(default=0.0, ge=0, le=0.5)
    """The share of packets that vanish, each way."""


class NetnsSettings(PacketSettings):
    """Two network namespaces, a veth pair and a token bucket. Needs root."""

    kind: str = "netns"


@dataclass(frozen=True, slots=True)
class TbfSettings:
    """``tc tbf``'s settings for a bandwidth."""

    rate_bits_per_s: int
    burst_bytes: int
    limit_bytes: int

    def arguments(self) -> list[str]:
        """As tc takes them (its ``b`` is bytes)."""
        rate, burst, limit = f"{self.rate_bits_per_s}bit", f"{self.burst_bytes}b", f"{self.limit_bytes}b"
        return ["tbf", "rate", rate, "burst", burst, "limit", limit]


def tbf_settings(bytes_per_s: int, round_trip_s: float = 0.0) -> TbfSettings:
    """Burst and queue that keep the rate and delay by a few milliseconds at most; over a distance by a round trip at most, as
    routers' queues do: acknowledgements that come late set free more than a short one holds, and a loss there costs seconds.
    """
    burst = max(_MINIMUM_BURST_BYTES, round(bytes_per_s * _BURST_S))
    limit = max(_MINIMUM_LIMIT_BYTES, round(bytes_per_s * _LIMIT_S))
    if bytes_per_s * _PACKET_S >= _PACKET_BYTES:
        burst, limit = max(_PACKET_BYTES, burst), max(_PACKETS_LIMIT_BYTES, limit)
    return TbfSettings(bytes_per_s * 8, burst, max(limit, round(bytes_per_s * round_trip_s)))


class NetnsLink(Link):
    """Source and destination in a network namespace each, joined by nothing but a veth pair."""

    settings = NetnsSettings
    summary = "two network namespaces, a veth pair and a token bucket; as root"
    counts = "Ethernet frames that left each side's queue: headers and retransmissions included"
    counts_headers = True
    shares_cpu = False

    def __init__(self, given: LinkSettings) -> None:
        self._claim = Claim(_CLAIMS, _remove)
        self._names = _names(self._claim.path.name)
        near, far = (_NAMESPACES / name for name in self._names)
        super().__init__(given, Namespace(near, _SOURCE_HOST), Namespace(far, _DESTINATION_HOST))
        self._loss = given.loss if isinstance(given, PacketSettings) else 0.0
        self._has_length = any((given.delay_s, given.jitter_s, self._loss))
        self._line: Child | None = None
        self._counters: tuple[QueueCounter, ...] = ()
        self._congestion_control = _congestion_control()

    @classmethod
    def choose(cls, given: LinkSettings) -> ChosenLink:
        """Namespaces of killed runs go first."""
        remove_leftovers()
        return super().choose(given)

    @classmethod
    def missing(cls) -> str | None:
        """By a trial."""
        try:
            with cls(NetnsSettings()):
                return None
        except (MissingError, PeerError) as exc:
            return str(exc)

    @property
    def description(self) -> str:
        """Kind, rate, and what shapes it."""
        ends, between = f"MTU 1500, {self._congestion_control}", "veth pair"
        if self._has_length:
            length = format_delay(self.given.delay_s, self.given.jitter_s)
            between = f"packet line, {length}, {self._loss * 100:.3g} % of packets lost"
            ends += f", TCP buffers of at most {_tcp_buffers()} B"
        if self.given.bandwidth_bytes_per_s is None:
            return f"netns: two network namespaces, {between}, unlimited, {ends}"
        tbf = self._tbf(self.given.bandwidth_bytes_per_s)
        shape = f"tc tbf both ways, burst {tbf.burst_bytes} B, queue {tbf.limit_bytes} B"
        return f"netns: two network namespaces, {between}, {format_bandwidth(self.given.bandwidth_bytes_per_s)} ({shape}), {ends}"

    def connect_address(self, destination_port: int) -> tuple[str, int]:
        """The destination itself: nothing stands between."""
        return _DESTINATION_HOST, destination_port

    def counters(self) -> LinkCounters:
        """What left the queues of both ends. About 50 us."""
        if not self._counters:
            raise PeerError(f"link {self._names[0]}: it is not open")
        if self._line is not None and (how := self._line.end_and_words()) is not None:
            raise PeerError(f"link: the packet line died: {how}")
        forward, back = self._counters
        return LinkCounters(forward.read_bytes(), back.read_bytes())

    def open(self) -> None:
        """Make namespaces, veth pair and queues. :raises MissingError: no root, or no ip and tc."""
        _require_root(self._instead)
        self._take_claim()
        near, far = self._names
        for name in self._names:
            self._run("ip", "netns", "add", name)
        if not self._has_length:
            self._run(
                "ip", "-n", near, "link", "add", _INTERFACE, "type", "veth", "peer", "name", _INTERFACE, "netns", far
            )
        else:
            self._open_line()
            # Of one address, each end takes what comes and asks nobody: far hosts are no neighbours.
            for name in self._names:
                self._run("ip", "-n", name, "link", "set", _INTERFACE, "address", _ONE_ADDRESS, "arp", "off")
        for name, host in zip(self._names, (_SOURCE_HOST, _DESTINATION_HOST), strict=True):
            self._run("ip", "-n", name, "addr", "add", f"{host}/30", "dev", _INTERFACE)
            self._run(
                "ip", "-n", name, "link", "set", _INTERFACE, "addrgenmode", "none"
            )  # no IPv6 chatter in the counters
            for interface in ("lo", _INTERFACE):
                self._run("ip", "-n", name, "link", "set", interface, "up")
            self._run("tc", "-n", name, "qdisc", "add", "dev", _INTERFACE, "root", *self._queue())
            self._set_congestion_control(name, host)
        self._counters = tuple(QueueCounter(_NAMESPACES / name, _INTERFACE) for name in self._names)

    def set_bandwidth(self, bytes_per_s: int) -> None:
        """Both ways; what is queued stays, and so do the counters. Burst and queue never shrink: tbf cuts packets as they enter,
        and one that waits already, larger than a new burst, would block it for ever."""
        before, after = self._tbf(self.given.bandwidth_bytes_per_s or bytes_per_s), self._tbf(bytes_per_s)
        burst, limit = max(before.burst_bytes, after.burst_bytes), max(before.limit_bytes, after.limit_bytes)
        queue = TbfSettings(after.rate_bits_per_s, burst, limit).arguments()
        for name in self._names:
            self._run("tc", "-n", name, "qdisc", "change", "dev", _INTERFACE, "root", *queue)

    def close(self) -> None:
        """Remove both namespaces and all that is in them but processes, which are their owners' to end."""
        for counter in self._counters:
            counter.close()
        self._counters = ()
        if self._line is not None:
            self._line.stop()
            self._line = None
        self._claim.release()

    @property
    def _instead(self) -> str:
        """For whoever cannot have namespaces."""
        loses = "leave out link.loss, which only network namespaces have"
        return loses if self._loss else 'set link.kind = "relay"'

    def _run(self, *command: str) -> None:
        _run(*command, instead=self._instead)

    def _open_line(self) -> None:
        lengths = ("--delay-s", self.given.delay_s, "--jitter-s", self.given.jitter_s, "--loss", self._loss)
        ends = (_NAMESPACES / name for name in self._names)
        self._line = Child(module_argv("harness.links.packet_line", *map(str, (*lengths, *ends)))).start()
        if self._line.hear(_READY, _READY_TIMEOUT_S) is None:
            why = self._line.end_and_words() or "it is not ready"
            raise MissingError(
                f"link: no packet line between namespaces: {why}; allow /dev/net/tun, or leave out link.delay, link.jitter and"
                " link.loss"
            )

    def _take_claim(self) -> None:
        try:
            _CLAIMS.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim.take()
        except OSError as exc:
            raise MissingError(
                f"link: netns notes its namespaces in {_CLAIMS}: {exc.strerror}; fix that, or {self._instead}"
            ) from exc

    def _set_congestion_control(self, name: str, host: str) -> None:
        """On the route, for a namespace may not change the default to what the host does not allow its users."""
        if self._congestion_control == _CONGESTION_CONTROL:
            route = ["192.0.2.0/30", "dev", _INTERFACE, "proto", "kernel", "scope", "link", "src", host]
            self._run("ip", "-n", name, "route", "change", *route, "congctl", _CONGESTION_CONTROL)

    def _queue(self) -> list[str]:
        if self.given.bandwidth_bytes_per_s is None:
            return _COUNTING_QUEUE
        return self._tbf(self.given.bandwidth_bytes_per_s).arguments()

    def _tbf(self, bytes_per_s: int) -> TbfSettings:
        return tbf_settings(bytes_per_s, 2 * self.given.delay_s)


def remove_leftovers() -> list[str]:
    """Remove the namespaces of runs that were killed; those of living processes stay. Returns the names."""
    if os.geteuid() != 0:
        return []
    return [name for stem in remove_abandoned(_CLAIMS, _remove) for name in _names(stem)]


def _names(stem: str) -> tuple[str, str]:
    return f"{stem}-a", f"{stem}-b"


def _remove(stem: str) -> None:
    """The interface first: a namespace lives on, with its interface, while a process is in it."""
    for name in _names(stem):
        if not (_NAMESPACES / name).exists():
            continue
        for command in (["ip", "-n", name, "link", "del", _INTERFACE], ["ip", "netns", "del", name]):
            with contextlib.suppress(MissingError):  # another process may have removed it meanwhile
                _run(*command)


def _congestion_control() -> str:
    """The one we set where the kernel has it, else the host's default; the description names it."""
    settings = Path("/proc/sys/net/ipv4")
    if _CONGESTION_CONTROL in (settings / "tcp_available_congestion_control").read_text().split():
        return _CONGESTION_CONTROL
    return (settings / "tcp_congestion_control").read_text().strip()


def _tcp_buffers() -> str:
    """What a sender and a receiver may have under way at most: over a distance this is a limit of its own."""
    settings = [(Path("/proc/sys/net/ipv4") / name).read_text().split()[-1] for name in ("tcp_wmem", "tcp_rmem")]
    return " and ".join(settings)


def _require_root(instead: str) -> None:
    if os.geteuid() != 0:
        raise MissingError(f"link: netns needs root (user id is {os.geteuid()}); run as root, or {instead}")
    for tool, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            raise MissingError(f"link: netns needs {tool}; install {package}, or {instead}")


def _run(*command: str, instead: str = "") -> None:
    # In a session of its own: a second Ctrl-C must not end what removes a namespace.
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise MissingError(f"link: {' '.join(command)}: {said[0]}; allow network namespaces, or {instead}")
