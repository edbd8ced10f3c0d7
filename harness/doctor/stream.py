"""What one TCP connection carries from one host to another, and how long a byte takes there and back. Each end runs on its host."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from harness.hosts.agent.asked import call_until

_PART_BYTES = 1 << 18
_ROUND_TRIPS = 10


@dataclass(frozen=True, slots=True)
class Carried:
    """``seconds``: from the first byte's arrival to the last one's."""

    bytes: int
    seconds: float

    @property
    def bytes_per_s(self) -> float:
        """0: nothing came, or all at once."""
        return self.bytes / self.seconds if self.seconds else 0.0


def take_stream(address: str, port: int, timeout_s: float) -> Carried:
    """Listen there, echo what is asked first, and count what follows until its end.

    :raises OSError: nobody came, or it stood still.
    """
    with socket.create_server((address, port)) as listener:
        listener.settimeout(timeout_s)
        end, _ = listener.accept()
    with end:
        end.settimeout(timeout_s)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(_ROUND_TRIPS):
            end.sendall(end.recv(1))
        room, came = bytearray(_PART_BYTES), end.recv(1)
        began_s, total = time.monotonic(), len(came)
        while count := end.recv_into(room):
            total += count
        return Carried(total, time.monotonic() - began_s)


def send_stream(address: str, port: int, seconds: float, timeout_s: float) -> float:
    """Random bytes, for so long. Gives the shortest round trip in seconds. :raises OSError: nobody listens, or it stood still."""
    body = os.urandom(_PART_BYTES)
    with call_until(address, port, timeout_s) as end:
        end.settimeout(timeout_s)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trips_s = [_round_trip_s(end) for _ in range(_ROUND_TRIPS)]
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            end.sendall(body)
    return min(trips_s)


def _round_trip_s(end: socket.socket) -> float:
    began_s = time.monotonic()
    end.sendall(b"?")
    end.recv(1)
    return time.monotonic() - began_s
