"""A link without root: a process that forwards TCP connections through one token bucket per direction.

``python -m harness.migrator.relay --counters-fd FD [--bytes-per-s N]`` is started by ``RelayLink``. Each line on its
standard input is a port on loopback to forward to; it answers with the port on which it listens for it. It ends when
its standard input does, so that it never outlives the harness. Two u64 behind FD (bytes forwarded there and back) are
read by the harness while it runs.

One thread, epoll, and splice(2) through a pipe: bytes are not copied into this process. Half-closes and resets pass
on; a refused destination resets the source. Knows nothing of migrations.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
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

__all__ = ["COUNTERS_BYTES", "TokenBucket", "buffer_bytes", "chunk_bytes", "main"]

COUNTERS_BYTES = 16
_HOST = "127.0.0.1"
_ENDPOINT_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# 2-core AMD EPYC, 2026-11-22, shared with other work, one flow of 2 s, n = 2: unlimited 1.51 and 1.56 GB/s, where loopback
# without a relay carried 1.73 and 2.07. Limited (n = 1): within 0.3 % of 25 Mbit/s to 1 Gbit/s with one flow and with three;
# of 10 Gbit/s 93 % with one flow, 100 % with three. Waiting before the bucket when the destination stands still:
# 4.5 ms of the link at 1 Gbit/s, 5.2 ms at 100 Mbit/s, 13 ms at 25 Mbit/s (two segments and the smallest buffers).
_UNLIMITED_CHUNK_BYTES = 1 << 20
_MINIMUM_CHUNK_BYTES = 4 << 10
_CHUNK_S = 0.001
_BURST_S = 0.004
_MINIMUM_BUFFER_BYTES = 16 << 10
_BUFFER_S = 0.002
_LOW_RATE_SEGMENT_BYTES = 1448


def chunk_bytes(bytes_per_s: float | None) -> int:
    """How much is taken from a socket at once: a millisecond of the link, so that a wake-up per chunk keeps the rate."""
    if bytes_per_s is None:
        return _UNLIMITED_CHUNK_BYTES
    return max(_MINIMUM_CHUNK_BYTES, min(_UNLIMITED_CHUNK_BYTES, round(bytes_per_s * _CHUNK_S)))


def buffer_bytes(bytes_per_s: float | None) -> int | None:
    """Each socket buffer of a limited link: two milliseconds of it, for what waits here is downtime nobody reports."""
    return None if bytes_per_s is None else max(_MINIMUM_BUFFER_BYTES, round(bytes_per_s * _BUFFER_S))


class TokenBucket:
    """Says when bytes may leave. Sleeps that last too long are made up for, up to ``burst_s`` of the rate."""

    def __init__(self, bytes_per_s: float | None, burst_s: float = _BURST_S) -> None:
        self._bytes_per_s = bytes_per_s
        self._burst_s = burst_s
        self._free_at_s = float("-inf")

    def reserve(self, count: int, now_s: float) -> float:
        """The time at which ``count`` bytes may leave (never before ``now_s``); they count as sent from this call on."""
        if self._bytes_per_s is None:
            return now_s
        start_s = max(self._free_at_s, now_s - self._burst_s)
        self._free_at_s = start_s + count / self._bytes_per_s
        return max(now_s, self._free_at_s)


class _Endpoint:
    """One socket and what epoll last said of it (edge-triggered: a flag stays until a call says EAGAIN)."""

    def __init__(self, sock: socket.socket, *, connected: bool) -> None:
        self.socket = sock
        self.connected = connected
        self.readable = False
        self.writable = False


@dataclass(slots=True, eq=False)
class _Flow:
    """One direction of one connection: source socket -> pipe -> destination socket."""

    source: _Endpoint
    destination: _Endpoint
    bucket: TokenBucket
    counter: int
    pipe: tuple[int, int]
    held: int = 0
    due_s: float = 0.0
    ended: bool = False


@dataclass(slots=True, eq=False)
class _Connection:
    endpoints: tuple[_Endpoint, _Endpoint]
    flows: tuple[_Flow, _Flow]
    closed: bool = False


class Relay:
    """The event loop. ``counters`` has two places: bytes to the destination, bytes back."""

    def __init__(self, bytes_per_s: float | None, counters: memoryview, clock: Callable[[], float]) -> None:
        self._buckets = (TokenBucket(bytes_per_s), TokenBucket(bytes_per_s))
        self._chunk = chunk_bytes(bytes_per_s)
        self._buffer = buffer_bytes(bytes_per_s)
        self._counters = counters
        self._clock = clock
        self._epoll = select.epoll()
        self._listeners: dict[int, tuple[socket.socket, int]] = {}
        self._connections: dict[int, tuple[_Connection, _Endpoint]] = {}
        self._waiting: list[tuple[float, int, _Connection]] = []
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
        """Serve until ``control_fd`` ends. Lines on it are ports; answers go to standard output."""
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
        for line in text.split():
            sys.stdout.write(f"{self.listen(int(line))}\n")
            sys.stdout.flush()
        return bool(text)

    def _release_due(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._clock():
            self._advance(heapq.heappop(self._waiting)[2])

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
        far.connect_ex((_HOST, destination_port))  # its end is an EPOLLOUT or an error on a read
        ends = (_Endpoint(near, connected=True), _Endpoint(far, connected=False))
        there = _Flow(ends[0], ends[1], self._buckets[0], 0, self._pipe())
        back = _Flow(ends[1], ends[0], self._buckets[1], 1, self._pipe())
        connection = _Connection(ends, (there, back))
        for end in ends:
            self._connections[end.socket.fileno()] = (connection, end)
            self._epoll.register(end.socket.fileno(), _ENDPOINT_EVENTS)

    def _pipe(self) -> tuple[int, int]:
        pipe = os.pipe()
        set_pipe_size(pipe[1], self._chunk)
        return pipe

    def _note(self, connection: _Connection, endpoint: _Endpoint, events: int) -> None:
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
                self._pump(connection, flow)
        except OSError:
            self._close(connection, reset=True)
            return
        if all(flow.ended for flow in connection.flows):
            self._close(connection, reset=False)

    def _pump(self, connection: _Connection, flow: _Flow) -> None:
        """Move one direction on until a socket or the bucket says wait."""
        while not flow.ended:
            if not flow.held:
                if not flow.source.readable or not self._take(connection, flow):
                    return
            elif flow.due_s > self._clock() or not flow.destination.writable or not self._give(flow):
                return

    def _take(self, connection: _Connection, flow: _Flow) -> bool:
        """Fill the pipe from the source. False: nothing there yet."""
        try:
            count = os.splice(flow.source.socket.fileno(), flow.pipe[1], self._chunk, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            flow.source.readable = False
            return False
        if count == 0:
            flow.ended = True
            flow.destination.socket.shutdown(socket.SHUT_WR)
            return True
        now_s = self._clock()
        flow.held = count
        flow.due_s = flow.bucket.reserve(count, now_s)
        if flow.due_s > now_s:
            self._order += 1
            heapq.heappush(self._waiting, (flow.due_s, self._order, connection))
        return True

    def _give(self, flow: _Flow) -> bool:
        """Empty the pipe into the destination. False: it takes no more now."""
        try:
            count = os.splice(flow.pipe[0], flow.destination.socket.fileno(), flow.held, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            flow.destination.writable = False
            return False
        flow.held -= count
        self._counters[flow.counter] += count
        return True

    def _close(self, connection: _Connection, *, reset: bool) -> None:
        connection.closed = True
        for end in connection.endpoints:
            del self._connections[end.socket.fileno()]
            if reset:
                end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.socket.close()
        for flow in connection.flows:
            for fd in flow.pipe:
                os.close(fd)


def set_pipe_size(fd: int, size_bytes: int) -> None:
    """As large as asked, or as large as this user may: a smaller pipe is slower, never wrong."""
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size_bytes)


def main() -> None:
    """The process's entry."""
    parser = argparse.ArgumentParser(prog="python -m harness.migrator.relay", description=__doc__)
    parser.add_argument("--counters-fd", type=int, required=True)
    parser.add_argument("--bytes-per-s", type=float)
    arguments = parser.parse_args()
    shared = mmap.mmap(arguments.counters_fd, COUNTERS_BYTES)
    Relay(arguments.bytes_per_s, memoryview(shared).cast("Q"), time.monotonic).run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
