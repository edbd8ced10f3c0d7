"""TCP between the halves, in the clear: ``tcp:HOST:PORT``. And whether its other end is still there: a pulled cable closes nothing.

The kernel asks an idle peer (keepalive). While something is unacknowledged it does not: it sends that again, for a quarter of an
hour. Nor while something is yet to be sent, because the peer has no room or our own interface is down: it probes then, ever more
seldom, without end. So whoever reads a connection looks now and then for how long nothing was heard of the peer. One that lives but
takes nothing answers each probe. See tcp(7), and struct tcp_info in linux/tcp.h.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import re
import socket
import struct
import termios
from typing import Any, ClassVar, Self

from harness.errors import UserError
from harness.migrator.transport.contract import Access, PathLook
from harness.migrator.transport.sockets import SocketEndpoint, SocketListener, SocketTransport

_LOOKS = 6
_TIMEVAL = struct.Struct("@ll")
_INFO_BYTES = 168
_PROBES_AT, _UNACKED_AT, _LAST_ACK_AT, _MIN_RTT_AT, _RATE_AT = 3, 24, 56, 148, 160
_PROBES = 2
"""So many without an answer are no chance: the answer to one may be under way when we look."""

_PLACE = re.compile(r"[a-z]+:(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")


class TcpTransport(SocketTransport):
    """The kernel ends an idle link whose peer is dead; one that is in use ends through ``peer_silence_s``."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        step_s = max(1, round(self.dead_after_s / 3))
        for option, value in ((socket.TCP_KEEPIDLE, step_s), (socket.TCP_KEEPINTVL, step_s), (socket.TCP_KEEPCNT, 2)):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        look_s = self.dead_after_s / _LOOKS
        look = _TIMEVAL.pack(int(look_s), int(look_s % 1 * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, look)

    def peer_silence_s(self) -> float:
        """As the kernel counts: since the last acknowledgement, where something waits for one."""
        info = self._info()
        unanswered, unacked, silent_ms = info[_PROBES_AT], _u32(info, _UNACKED_AT), _u32(info, _LAST_ACK_AT)
        return silent_ms / 1000 if unacked or unanswered >= _PROBES else 0.0

    def unsent_bytes(self) -> int | None:
        """What the peer's kernel has not confirmed (SIOCOUTQ, tcp(7))."""
        try:
            with self._in_use as connection:
                return int(struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0])
        except OSError:  # closed
            return None

    def path(self) -> PathLook | None:
        """None: closed, or a kernel that does not tell."""
        try:
            info = self._info()
        except OSError:
            return None
        if len(info) < _INFO_BYTES:
            return None
        return PathLook(_u32(info, _MIN_RTT_AT) / 1e6, struct.unpack_from("@Q", info, _RATE_AT)[0])

    def _info(self) -> bytes:
        with self._in_use as connection:
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)


def _u32(info: bytes, at: int) -> int:
    return int(struct.unpack_from("@I", info, at)[0])


class TcpEndpoint(SocketEndpoint):
    """A kind over TCP that encrypts by itself is one with ``in_the_clear`` False."""

    transport: ClassVar[type[SocketTransport]] = TcpTransport
    in_the_clear: ClassVar[bool] = True

    @classmethod
    def at(cls, text: str, option: str, *, insecure: bool) -> Self:
        """A name is looked up once: what is checked is what is then used."""
        host, port = _parsed(text, option)
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            raise UserError(
                f"{option} {text}: {reason}; give a name or an address that this machine knows (`getent hosts NAME`, `ip address`)"
            ) from exc
        if any(_lacks_interface(info[4]) for info in infos):
            raise UserError(
                f"{option} {text}: an address that holds at one interface only, and none is named; name it behind the address "
                f"(`ip address` lists them), such as tcp:[{host}%eth0]:{port}"
            )
        if cls.in_the_clear and not insecure and not all(_is_loopback(info[4]) for info in infos):
            raise UserError(
                f"{option} {text}: not a loopback address, and the guest's whole memory would cross the network unencrypted and "
                "unauthenticated; use --tls DIR between the halves, a tunnel to loopback (ssh -L, WireGuard), or --insecure on a "
                "network that you trust"
            )
        # A name may mean both families; who listens at "localhost" is then looked for at 127.0.0.1 first, as ever.
        return cls(text, option, sorted(dict.fromkeys((int(info[0]), info[4]) for info in infos)))

    @property
    def host(self) -> str | None:
        """As it was written, without an interface's name."""
        return _parsed(self.text, self.option)[0].partition("%")[0]

    @property
    def exposure(self) -> str | None:
        """Any of its addresses is another host's, or this one's towards others."""
        if not self.in_the_clear or all(_is_loopback(place) for _, place in self.places):
            return None
        return (
            f"warning: {self}: --insecure: the guest's memory crosses the network unencrypted, and nobody is asked who he is; "
            "--tls DIR between the halves does both"
        )

    def _bind(self, bound: socket.socket, access: Access | None) -> SocketListener:
        self.require_no_access(access)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(self.places[0][1])
        return SocketListener(bound, f"{self.text.partition(':')[0]}:{_written(bound.getsockname())}", self.transport)

    def _remedy(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"`ss -tlnp sport = {self.places[0][1][1]}` says by whom; choose another port, or end that process"
        if isinstance(error, PermissionError):
            return "choose a port above 1023, or run this as a user who may listen there"
        return "choose another place"


def _parsed(text: str, option: str) -> tuple[str, int]:
    match = _PLACE.fullmatch(text)
    if match is None or int(match[3]) > 65535 or (match[1] is not None and not _is_ipv6(match[1])):
        raise UserError(
            f"{option} {text}: write unix:PATH or tcp:HOST:PORT (port 0 to 65535; an IPv6 address in brackets, such as "
            "tcp:[::1]:4444 or tcp:[fe80::1%eth0]:4444)"
        )
    return match[1] or match[2], int(match[3])


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _lacks_interface(place: Any) -> bool:  # noqa: ANN401 - a socket address is as its family has it
    """Whether it is a link-local IPv6 address, whose fourth part, the interface's number, is missing."""
    return len(place) == 4 and not place[3] and ipaddress.ip_address(place[0].partition("%")[0]).is_link_local


def _is_loopback(place: Any) -> bool:  # noqa: ANN401 - the same
    return ipaddress.ip_address(place[0].partition("%")[0]).is_loopback


def _written(place: Any) -> str:  # noqa: ANN401 - the same
    """HOST:PORT, as it is bound and not as it was asked for: a host may be a name, or ``*``, which is loopback here."""
    if len(place) == 2:
        return f"{place[0]}:{place[1]}"
    interface = f"%{socket.if_indextoname(place[3])}" if place[3] else ""
    return f"[{place[0].partition('%')[0]}{interface}]:{place[1]}"
