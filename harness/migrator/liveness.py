"""Is the other end of a TCP connection still there? A cable that is pulled closes no connection.

The kernel asks an idle peer (keepalive). While something is unacknowledged it does not: it sends that again, for a quarter of an
hour. Nor while something is yet to be sent, because the peer has no room or our own interface is down: it probes then, ever more
seldom, without end. So whoever reads a connection looks now and then for how long nothing was heard of the peer. One that lives but
takes nothing answers each probe. See tcp(7), and struct tcp_info in linux/tcp.h.
"""

from __future__ import annotations

import socket
import struct

from harness.errors import PeerError

__all__ = ["require_peer", "watch"]

DEAD_AFTER_S = 30.0
"""As long as libvirt waits by default (keepalive_interval 5, keepalive_count 5)."""

_LOOKS = 6
_TIMEVAL = struct.Struct("@ll")
_INFO_BYTES, _PROBES_AT, _UNACKED_AT, _LAST_ACK_AT = 104, 3, 24, 56
_PROBES = 2
"""So many without an answer are no chance: the answer to one may be under way when we look."""


def watch(connection: socket.socket) -> None:
    """Let a dead peer end a wait for it: after ``DEAD_AFTER_S`` if it owes nothing, else through ``require_peer``, which is due
    whenever receiving ends with BlockingIOError."""
    step_s = max(1, round(DEAD_AFTER_S / 3))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, step_s), (socket.TCP_KEEPINTVL, step_s), (socket.TCP_KEEPCNT, 2)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    look_s = DEAD_AFTER_S / _LOOKS
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(look_s), int(look_s % 1 * 1e6)))


def require_peer(connection: socket.socket, other: str) -> None:
    """:raises PeerError: it owes an answer, and nothing was heard of it for too long."""
    if connection.family == socket.AF_UNIX:
        return
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    unanswered = info[_PROBES_AT]
    unacked = struct.unpack_from("@I", info, _UNACKED_AT)[0]
    silent_s = struct.unpack_from("@I", info, _LAST_ACK_AT)[0] / 1000
    if (unacked or unanswered >= _PROBES) and silent_s >= DEAD_AFTER_S:
        raise PeerError(
            f"the link to the {other} is dead: nothing was heard of it for {silent_s:.0f} s; look at the network between the hosts"
        )
