"""Addresses on the command line, and the rule of where we listen and connect without encryption. Opens sockets, nothing else."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from harness.errors import MissingError, PeerError, UserError

__all__ = ["Address", "connect", "listen", "parse_address", "require_private"]

UNIX_PATH_MAX = 107
NAMESPACE_PREFIX = "pf-"
"""Network namespaces of the harness begin with this; nothing but its own links is in them."""

_TCP = re.compile(r"tcp:(\[[0-9a-fA-F:.%a-z]+\]|[^:\[\]]+):([0-9]+)")


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
    if match is None or not 0 <= int(match[2]) <= 65535:
        raise UserError(f"{option} {text}: write unix:PATH or tcp:HOST:PORT (port 0 to 65535)")
    return Address(host=match[1].strip("[]"), port=int(match[2]))


def require_private(address: Address, option: str, *, insecure: bool) -> None:
    """Guest memory crosses the link in the clear, so beyond this machine that must be asked for.

    Allowed: unix sockets, loopback, and any address inside a namespace that the harness made. :raises UserError: otherwise.
    """
    if address.path is not None or insecure or _in_own_namespace():
        return
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise UserError(f"{option} {address}: {exc.strerror or exc}; give an address of this network") from exc
    if all(ipaddress.ip_address(str(info[4][0]).split("%")[0]).is_loopback for info in infos):
        return
    raise UserError(
        f"{option} {address}: not a loopback address, and the guest's whole memory would cross the network unencrypted and "
        "unauthenticated; use a tunnel to loopback (ssh -L, WireGuard), or --insecure on a network that you trust"
    )


def _in_own_namespace() -> bool:
    try:
        mine = Path("/proc/self/ns/net").stat().st_ino
        named = [path for path in Path("/run/netns").iterdir() if path.name.startswith(NAMESPACE_PREFIX)]
    except OSError:
        return False
    return any(_inode(path) == mine for path in named)


def _inode(path: Path) -> int | None:
    """None: it has gone since it was listed, as another run's may at any time."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino
    return None


def listen(address: Address, option: str) -> socket.socket:
    """A listening socket. :raises UserError: the port or path is taken, or not allowed."""
    family = (
        socket.AF_UNIX if address.path is not None else (socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if address.path is not None:
            _remove_stale_socket(address.path)
            listener.bind(address.path)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address.host, address.port))
        listener.listen(1)
    except OSError as exc:
        listener.close()
        raise UserError(
            f"{option} {address}: cannot listen there: {exc.strerror or exc}; choose another or free it"
        ) from exc
    return listener


def _remove_stale_socket(path: str) -> None:
    """A socket file that nobody listens on is a leftover; anything else stays and bind says so."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        except OSError:
            return


def connect(address: Address, option: str, what: str, timeout_s: float) -> socket.socket:
    """A connected, blocking socket. :raises PeerError: nobody answers there. :raises MissingError: no such socket file."""
    try:
        connection = _connect(address, timeout_s)
    except FileNotFoundError as exc:
        raise MissingError(f"{option} {address}: no such socket; {what}") from exc
    except OSError as exc:
        raise PeerError(f"{option} {address}: {exc.strerror or exc}; {what}") from exc
    connection.settimeout(None)
    return connection


def _connect(address: Address, timeout_s: float) -> socket.socket:
    if address.path is None:
        return socket.create_connection((address.host, address.port), timeout=timeout_s)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address.path)
    except OSError:
        connection.close()
        raise
    return connection
