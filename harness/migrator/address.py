"""Addresses on the command line: how they are written, what they stand for, and which may carry memory without encryption.

``parse_address`` reads one, ``resolve`` looks it up, once, and checks it; ``connect`` and ``listening`` use what was checked.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import Any

from harness.errors import MissingError, PeerError, UserError

__all__ = ["Address", "Endpoint", "connect", "parse_address", "resolve"]

UNIX_PATH_MAX = 107

_TCP = re.compile(r"tcp:(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """``unix:PATH`` (``path``) or ``tcp:HOST:PORT`` (``host``, ``port``)."""

    path: str | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """As it is written on the command line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path is not None else f"tcp:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that may be used for ``option``. ``places``: the family and socket address of each host that its name means."""

    address: Address
    option: str
    places: tuple[tuple[int, Any], ...]

    def __str__(self) -> str:
        """As the user wrote it."""
        return f"{self.option} {self.address}"


def parse_address(text: str, option: str) -> Address:
    """``unix:PATH`` or ``tcp:HOST:PORT``. :raises UserError: naming the option, the value and the form."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        path = text.removeprefix("unix:")
        if len(os.fsencode(path)) > UNIX_PATH_MAX:
            raise UserError(
                f"{option} {text}: a socket path has at most {UNIX_PATH_MAX} bytes, this one {len(os.fsencode(path))}; "
                "choose a shorter folder"
            )
        return Address(path=path)
    match = _TCP.fullmatch(text)
    if match is None or int(match[3]) > 65535 or (match[1] is not None and not _is_ipv6(match[1])):
        raise UserError(
            f"{option} {text}: write unix:PATH or tcp:HOST:PORT (port 0 to 65535; an IPv6 address in brackets, such as "
            "tcp:[::1]:4444 or tcp:[fe80::1%eth0]:4444)"
        )
    return Address(host=match[1] or match[2], port=int(match[3]))


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def resolve(address: Address, option: str, *, insecure: bool = False) -> Endpoint:
    """Look it up. Guest memory crosses a connection in the clear, so that one beyond this machine must be asked for.

    :raises UserError: no such host, one without its interface, or it is not this machine and ``insecure`` is not given.
    """
    if address.path is not None:
        return Endpoint(address, option, ((socket.AF_UNIX, address.path),))
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise UserError(
            f"{option} {address}: {reason}; give a name or an address that this machine knows (`getent hosts NAME`, `ip address`)"
        ) from exc
    if any(_lacks_interface(info[4]) for info in infos):
        raise UserError(
            f"{option} {address}: an address that holds at one interface only, and none is named; name it behind the address "
            f"(`ip address` lists them), such as tcp:[{address.host}%eth0]:{address.port}"
        )
    if not insecure and not all(_is_loopback(info[4]) for info in infos):
        raise UserError(
            f"{option} {address}: not a loopback address, and the guest's whole memory would cross the network unencrypted and "
            "unauthenticated; use a tunnel to loopback (ssh -L, WireGuard), or --insecure on a network that you trust"
        )
    # A name may mean both families; who listens at "localhost" is then looked for at 127.0.0.1 first, as ever.
    places = sorted(dict.fromkeys((int(info[0]), info[4]) for info in infos))
    return Endpoint(address, option, tuple(places))


def _lacks_interface(place: Any) -> bool:  # noqa: ANN401 - the same as below
    """Whether it is a link-local IPv6 address, whose fourth part, the interface's number, is missing."""
    return len(place) == 4 and not place[3] and ipaddress.ip_address(place[0].partition("%")[0]).is_link_local


def _is_loopback(place: Any) -> bool:  # noqa: ANN401 - a socket address is as its family has it
    return ipaddress.ip_address(place[0].partition("%")[0]).is_loopback


def connect(endpoint: Endpoint, what: str, timeout_s: float) -> socket.socket:
    """A connected, blocking socket. :raises PeerError: nobody answers there. :raises MissingError: no such socket file.

    ``what`` is to be done about it; where a socket may not be used, its owner and mode are told instead.
    """
    try:
        connection = reach(endpoint, timeout_s)
    except FileNotFoundError as exc:
        raise MissingError(f"{endpoint}: no such socket; {what}") from exc
    except OSError as exc:
        raise PeerError(why_unreachable(endpoint, exc, what)) from exc
    connection.settimeout(None)
    return connection


def why_unreachable(endpoint: Endpoint, error: OSError, what: str) -> str:
    """The line for it, with a remedy that fits."""
    if isinstance(error, PermissionError) and endpoint.address.path is not None:
        what = (
            "run this as the user that owns the socket, or as root, or have its owner allow you to write to it "
            f"(`ls -l {endpoint.address.path}`, and each folder above)"
        )
    return f"{endpoint}: {error.strerror or error}; {what}"


def reach(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """Connected to the first of its places that answers. :raises OSError: none; the last one's reason."""
    last: OSError | None = None
    for family, place in endpoint.places:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.connect(place)
            if connection.getsockname() == connection.getpeername():  # TCP gave us the very port that we try (ip(7))
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except OSError as exc:
            connection.close()
            last = exc
        else:
            return connection
    raise last or OSError("no address")
