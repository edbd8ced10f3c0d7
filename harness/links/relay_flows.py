"""One direction of one connection through the relay: spliced where the link has no length, else through a delay line.

Knows sockets, and nothing of how they were connected or who waits for them.
"""

from __future__ import annotations

import abc
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable

from harness.links.shaping import Delay, DelayLine, TokenBucket, chunk_bytes, line_bytes

Wake = Callable[[float], None]
_NEVER_S = float("inf")


class Endpoint:
    """One socket and what epoll last said of it (edge-triggered: a flag stays until a call says EAGAIN)."""

    def __init__(self, sock: socket.socket, *, connected: bool) -> None:
        self.socket = sock
        self.connected = connected
        self.readable = False
        self.writable = False
        self.broken = False


class Direction:
    """What all flows one way share: the link's rate, its length, and the place where its bytes are counted."""

    def __init__(
        self, bytes_per_s: float | None, delay: Delay, counters: memoryview, counter: int, clock: Callable[[], float]
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self.bucket = TokenBucket(bytes_per_s)
        self.delay = delay
        self.clock = clock
        self._counters = counters
        self._counter = counter

    def set_rate(self, bytes_per_s: float) -> None:
        """Flows are told by ``follow_rate``."""
        self.bytes_per_s = bytes_per_s
        self.bucket.set_rate(bytes_per_s)

    def count(self, count: int) -> None:
        """Bytes were handed on to the far end."""
        self._counters[self._counter] += count


class Flow(abc.ABC):
    """Moves bytes from ``source`` to ``destination``. ``wake(at_s)`` asks for a call of ``pump`` then."""

    def __init__(self, source: Endpoint, destination: Endpoint, direction: Direction, wake: Wake) -> None:
        self.source = source
        self.destination = destination
        self.ended = False
        self._direction = direction
        self._clock = direction.clock
        self._wake = wake

    @abc.abstractmethod
    def pump(self) -> None:
        """Move on until a socket or the link says wait. :raises OSError: the connection is to be reset at both ends."""

    @abc.abstractmethod
    def follow_rate(self) -> None:
        """The direction has another rate: take as much at once, and hold as much, as that needs."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what is not the endpoints'."""


class SplicedFlow(Flow):
    """Source socket -> pipe -> destination socket: nothing is copied into this process. One chunk is held at a time."""

    def __init__(self, source: Endpoint, destination: Endpoint, direction: Direction, wake: Wake) -> None:
        super().__init__(source, destination, direction, wake)
        self._pipe = os.pipe()
        self._held = 0
        self._due_s = 0.0
        self.follow_rate()

    def follow_rate(self) -> None:
        """A chunk more or less; a pipe that is too large stays so."""
        self._chunk = chunk_bytes(self._direction.bytes_per_s)
        # EPERM: a smaller pipe than we want is slower, never wrong. EBUSY: many small pieces need more room than their bytes.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, max(self._chunk, self._held))

    def pump(self) -> None:
        """A chunk in, and out when the bucket lets it."""
        while not self.ended:
            if not self._held:
                if not self.source.readable or not self._take():
                    return
            elif self._due_s > self._clock() or not self.destination.writable or not self._give():
                return

    def _take(self) -> bool:
        """Fill the pipe from the source. False: nothing there yet."""
        try:
            count = os.splice(self.source.socket.fileno(), self._pipe[1], self._chunk, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            self.source.readable = False
            return False
        if count == 0:
            self.ended = True
            self.destination.socket.shutdown(socket.SHUT_WR)
            return True
        now_s = self._clock()
        self._held = count
        self._due_s = self._direction.bucket.reserve(count, now_s)
        if self._due_s > now_s:
            self._wake(self._due_s)
        return True

    def _give(self) -> bool:
        """Empty the pipe into the destination. False: it takes no more now."""
        try:
            count = os.splice(self._pipe[0], self.destination.socket.fileno(), self._held, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            self.destination.writable = False
            return False
        self._held -= count
        self._direction.count(count)
        return True

    def close(self) -> None:
        """Both ends of the pipe."""
        for fd in self._pipe:
            os.close(fd)


class DelayedFlow(Flow):
    """Source socket -> token bucket -> delay line -> destination socket. Ends and resets travel through the line as bytes do."""

    def __init__(self, source: Endpoint, destination: Endpoint, direction: Direction, wake: Wake) -> None:
        super().__init__(source, destination, direction, wake)
        self._line = DelayLine(self._capacity_bytes(), chunk_bytes(direction.bytes_per_s))
        self._leave_s = 0.0  # when the bucket has let the last chunk go
        self._end_s = _NEVER_S  # when the source's end of stream arrives
        self._reset_s = _NEVER_S

    def _capacity_bytes(self) -> int:
        delay = self._direction.delay
        return line_bytes(self._direction.bytes_per_s, delay.delay_s + delay.jitter_s)

    def follow_rate(self) -> None:
        """A line that holds more than it may now takes nothing until it holds less."""
        self._line.set_capacity(self._capacity_bytes(), chunk_bytes(self._direction.bytes_per_s))

    def pump(self) -> None:
        """What is due goes out, then one chunk comes in: a source that is always ready keeps nobody else waiting."""
        now_s = self._clock()
        self._give(now_s)
        if self._reset_s <= now_s:
            raise ConnectionResetError
        self._take()
        if self.source.broken and self._reset_s == _NEVER_S:
            self._reset_s = self._send_off(0)

    def _take(self) -> None:
        broken = self.source.broken or self.destination.broken
        if broken or self._end_s != _NEVER_S or not self.source.readable or self._leave_s > self._clock():
            return
        room = self._line.room()
        if not room:
            return
        try:
            count = self.source.socket.recv_into(room)
        except BlockingIOError:
            self.source.readable = False
        except OSError:
            self.source.broken = True
        else:
            due_s = self._send_off(count)
            if count:
                self._wake(self._leave_s)
            else:
                self._end_s = due_s

    def _send_off(self, count: int) -> float:
        """Let ``count`` bytes of the line's room through the bucket; the time at which they, or an end, arrive."""
        self._leave_s = self._direction.bucket.reserve(count, self._clock())
        self._line.put(count, self._direction.delay.arrival(self._leave_s))
        self._wake(self._line.last_due_s)
        return self._line.last_due_s

    def _give(self, now_s: float) -> None:
        if self.destination.broken:
            return
        try:
            while self.destination.writable and (piece := self._line.arrived(now_s)):
                count = self.destination.socket.send(piece)
                self._line.took(count)
                self._direction.count(count)
            if self._end_s <= now_s and not self._line.held_bytes and not self.ended:
                self.ended = True
                self.destination.socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.destination.writable = False
        except OSError:
            self.destination.broken = True
            self._wake(now_s)  # the flow the other way carries the news

    def close(self) -> None:
        """Nothing: the line goes with the flow."""
