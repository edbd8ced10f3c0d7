"""What is asked of an agent's machine beside files; each runs there."""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path

from harness.errors import MissingError, PeerError
from harness.hosts.agent.brought import remove_parts
from harness.hosts.claims import Claim
from harness.hosts.rundir import remove_leftovers, scratch_base


def make_folder(needs_bytes: int) -> Path:
    """A private one, which goes when the agent ends; what killed ones left goes first. :raises MissingError: no room."""
    remove_leftovers()
    remove_parts()
    claim = Claim(scratch_base(needs_bytes))
    try:
        claim.take()
    except OSError as exc:
        raise MissingError(f"{claim.path}: cannot be made: {exc.strerror}; set TMPDIR to another folder") from exc
    return claim.path


def free_port(address: str, first: int, last: int) -> int:
    """The first of them that nobody listens on. :raises PeerError: there is none, or the address is not this machine's."""
    for port in range(first, last + 1):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((address, port))
            except OSError as exc:
                if exc.errno == errno.EADDRNOTAVAIL:
                    raise PeerError(
                        f"{address}: is no address of this host: write the destination's as address in the file of hosts"
                    ) from exc
                continue
            return port
    raise PeerError(f"{address}: each of the ports {first}-{last} is in use; write others in the file of hosts")


def await_caller(address: str, port: int, timeout_s: float) -> bool:
    """Whether somebody connects there in time."""
    with socket.create_server((address, port)) as listener:
        listener.settimeout(timeout_s)
        try:
            listener.accept()[0].close()
        except TimeoutError:
            return False
        return True


def call_up(address: str, port: int, timeout_s: float) -> bool:
    """Whether somebody answers there in time."""
    try:
        call_until(address, port, timeout_s).close()
    except OSError:
        return False
    return True


def call_until(address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection; nobody may listen yet, which is tried again. :raises OSError: none in time."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return socket.create_connection((address, port), max(0.001, deadline_s - time.monotonic()))
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
