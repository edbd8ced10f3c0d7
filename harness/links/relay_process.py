"""A link without root: a process that forwards TCP connections through one token bucket per direction, at a distance.

``python -m harness.links.relay_process --counters-fd FD [--bytes-per-s N] [--delay-s S] [--jitter-s S]`` is started by
``RelayLink``. Each line on its standard input is a port on loopback to forward to, answered with the port on which it
listens for it, or ``rate=N``, another rate for both directions, answered with N. It ends when its standard input does, so that
it never outlives the harness. Two u64 behind FD (bytes forwarded there and back) are read by the harness while it runs.

One thread, epoll, and splice(2) through a pipe: bytes are not copied into this process unless a delay has to hold them.
Half-closes and resets pass on, as late as the bytes before them; a refused destination resets the source. With a delay,
the destination sees a connection one round trip after the source made it, which is what TCP's handshake would take; what
else TCP makes of a distance (a window that opens slowly, retransmissions) is not here. Knows nothing of migrations.
"""

from __future__ import annotations

import argparse
import heapq
import mmap
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.links.relay_flows import DelayedFlow, Direction, Endpoint, Flow, SplicedFlow, Wake
from harness.links.shaping import Delay, buffer_bytes

COUNTERS_BYTES = 16
_HOST = "127.0.0.1"
_ENDPOINT_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOW_RATE_SEGMENT_BYTES = 1448


@dataclass(slots=True, eq=False)
class _Connection:
    endpoints: tuple[Endpoint, Endpoint]
    destination_port: int
    flows: tuple[Flow, ...] = ()
    closed: bool = False


class Relay:
    """The event loop. ``counters`` has two places: bytes to the destination, bytes back."""

    def __init__(
        self,
        bytes_per_s: float | None,
        counters: memoryview,
        clock: Callable[[], float],
        delay_s: float,
        jitter_s: float,
    ) -> None:
        self._directions = tuple(
            Direction(bytes_per_s, Delay(delay_s, jitter_s, seed=way), counters, way, clock) for way in (0, 1)
        )
        self._flow = DelayedFlow if delay_s or jitter_s else SplicedFlow
        self._handshake_s = 2 * delay_s
        self._buffer = buffer_bytes(bytes_per_s)
        self._clock = clock
        self._epoll = select.epoll()
        self._listeners: dict[int, tuple[socket.socket, int]] = {}
        self._connections: dict[int, tuple[_Connection, Endpoint]] = {}
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def listen(self, destination_port: int) -> int:
        """Forward a new loopback port to ``destination_port``; returns the new port."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._limit_buffers(listener)  # before listen: a connection inherits them, and its window from them
        listener.bind((_HOST, 0))
        listener.listen(64)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = (listener, destination_port)
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        return int(listener.getsockname()[1])

    def run(self, control_fd: int) -> None:
        """Serve until ``control_fd`` ends. Lines on it are orders; answers go to standard output."""
        os.set_blocking(control_fd, False)
        self._epoll.register(control_fd, select.EPOLLIN)
        while True:
            for fd, events in self._events():
                if fd == control_fd:
                    if not self._obey(control_fd):
                        return
                elif fd in self._listeners:
                    self._accept(*self._listeners[fd])
                elif fd in self._connections:
                    connection, endpoint = self._connections[fd]
                    self._note(connection, endpoint, events)
            self._release_due()

    def _events(self) -> Iterator[tuple[int, int]]:
        # select() on the epoll descriptor waits with microseconds; epoll_wait rounds up to milliseconds.
        timeout = max(0.0, self._waiting[0][0] - self._clock()) if self._waiting else None
        select.select([self._epoll], [], [], timeout)
        return iter(self._epoll.poll(0))

    def _obey(self, control_fd: int) -> bool:
        text = os.read(control_fd, 4096)
        for order in text.decode().split():
            name, _, rate = order.rpartition("=")
            answer = self.set_rate(int(rate)) if name == "rate" else self.listen(int(order))
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
        return bool(text)

    def set_rate(self, bytes_per_s: int) -> int:
        """From now on, also of connections that stand. Buffers never shrink: a connection's window cannot."""
        self._buffer = max(self._buffer or 0, buffer_bytes(bytes_per_s) or 0)
        for direction in self._directions:
            direction.set_rate(bytes_per_s)
        for sock in [listener for listener, _ in self._listeners.values()]:
            self._limit_buffers(sock)
        for connection, end in self._connections.values():
            self._limit_buffers(end.socket)
            for flow in connection.flows:
                flow.follow_rate()
        return bytes_per_s

    def _at(self, at_s: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._waiting, (at_s, self._order, action))

    def _release_due(self) -> None:
        now_s = self._clock()  # once: what is due again at once lets the sockets have their turn
        while self._waiting and self._waiting[0][0] <= now_s:
            heapq.heappop(self._waiting)[2]()

    def _limit_buffers(self, sock: socket.socket) -> None:
        if self._buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
            if self._buffer < 1 << 17:  # loopback's 64 KB segments do not fit such windows: stalls of 200 ms
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _LOW_RATE_SEGMENT_BYTES)

    def _accept(self, listener: socket.socket, destination_port: int) -> None:
        try:
            near, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._limit_buffers(far)
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ends = (Endpoint(near, connected=True), Endpoint(far, connected=False))
        connection = _Connection(ends, destination_port)
        connection.flows = tuple(
            self._flow(source, destination, direction, self._wake(connection))
            for source, destination, direction in zip(ends, reversed(ends), self._directions, strict=True)
        )
        self._watch(connection, ends[0])
        self._at(self._clock() + self._handshake_s, lambda: self._connect(connection))

    def _wake(self, connection: _Connection) -> Wake:
        def advance() -> None:
            self._advance(connection)

        return lambda at_s: self._at(at_s, advance)

    def _connect(self, connection: _Connection) -> None:
        """Its end is an EPOLLOUT or an error on a read."""
        connection.endpoints[1].socket.connect_ex((_HOST, connection.destination_port))
        self._watch(connection, connection.endpoints[1])

    def _watch(self, connection: _Connection, end: Endpoint) -> None:
        self._connections[end.socket.fileno()] = (connection, end)
        self._epoll.register(end.socket.fileno(), _ENDPOINT_EVENTS)

    def _note(self, connection: _Connection, endpoint: Endpoint, events: int) -> None:
        endpoint.readable |= bool(events & ~select.EPOLLOUT)
        endpoint.writable |= bool(events & select.EPOLLOUT)
        if not endpoint.connected and events:
            if endpoint.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._close(connection, reset=True)
                return
            endpoint.connected = bool(events & select.EPOLLOUT)
        self._advance(connection)

    def _advance(self, connection: _Connection) -> None:
        if connection.closed or not all(end.connected for end in connection.endpoints):
            return
        try:
            for flow in connection.flows:
                flow.pump()
        except OSError:
            self._close(connection, reset=True)
            return
        if all(flow.ended for flow in connection.flows):
            self._close(connection, reset=False)

    def _close(self, connection: _Connection, *, reset: bool) -> None:
        connection.closed = True
        for end in connection.endpoints:
            del self._connections[end.socket.fileno()]
            if reset:
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.socket.close()
        for flow in connection.flows:
            flow.close()


def main() -> None:
    """The process's entry."""
    parser = argparse.ArgumentParser(prog="python -m harness.links.relay_process", description=__doc__)
    parser.add_argument("--counters-fd", type=int, required=True)
    parser.add_argument("--bytes-per-s", type=float, help="in each direction; without it, unlimited")
    parser.add_argument("--delay-s", type=float, default=0.0, help="in each direction: a round trip is twice as long")
    parser.add_argument("--jitter-s", type=float, default=0.0, help="up to so much more, at random; nothing overtakes")
    arguments = parser.parse_args()
    shared = mmap.mmap(arguments.counters_fd, COUNTERS_BYTES)
    counters = memoryview(shared).cast("Q")
    relay = Relay(arguments.bytes_per_s, counters, time.monotonic, arguments.delay_s, arguments.jitter_s)
    relay.run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
