"""Two halves in one process without a network, for tests and whoever embeds them: ``memory:NAME``.

Bounded as a socket is: who sends waits until the other end has taken enough.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

from harness.errors import UserError
from harness.migrator.transport.contract import Access, Endpoint, Listener, Transport

_CAPACITY_BYTES = 256 << 10

_listeners: dict[str, _MemoryListener] = {}
_listeners_lock = threading.Lock()


class _Readable:
    """A descriptor that poll finds readable while ``show(True)`` holds. Used under its owner's lock."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._shown = False

    def fileno(self) -> int:
        return self._descriptor

    def show(self, shown: bool) -> None:
        if self._descriptor >= 0 and shown != self._shown:
            os.eventfd_write(self._descriptor, 1) if shown else os.eventfd_read(self._descriptor)
            self._shown = shown

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Pipe:
    """One direction. ``ended``: nothing more is written; ``left``: nobody reads any more."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.data = bytearray()
        self.readable = _Readable()
        self.ended = self.left = False

    def write(self, part: memoryview, timeout_s: float | None) -> None:
        while part:
            with self.changed:
                if not self.changed.wait_for(self._is_writable, timeout_s):
                    raise TimeoutError(errno.ETIMEDOUT, "the peer takes no more")
                if self.left or self.ended:
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
                count = _CAPACITY_BYTES - len(self.data)
                self.data += part[:count]
                self.tell()
            part = part[count:]

    def _is_writable(self) -> bool:
        return len(self.data) < _CAPACITY_BYTES or self.left or self.ended

    def read_into(self, buffer: memoryview, timeout_s: float | None) -> int | None:
        with self.changed:
            if not self.changed.wait_for(lambda: self.data or self.ended or self.left, timeout_s):
                return None
            count = 0 if self.left else min(len(buffer), len(self.data))
            buffer[:count] = self.data[:count]
            del self.data[:count]
            self.tell()
            return count

    def tell(self) -> None:
        """Under the lock: something changed."""
        self.readable.show(bool(self.data) or self.ended)
        self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.ended = True
            self.tell()

    def leave(self) -> None:
        with self.changed:
            self.left = True
            self.tell()
            self.readable.close()


class MemoryTransport(Transport):
    """One end; see ``memory_pair``."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send_parts(self, parts: Sequence[bytes | memoryview], timeout_s: float | None = None) -> int:
        """Copies once, into the pipe."""
        total = 0
        for part in parts:
            self._outgoing.write(memoryview(part), timeout_s)
            total += len(part)
        return total

    def recv_into(self, buffer: memoryview, timeout_s: float | None = None) -> int | None:
        """What is there. A peer in this process is never silent, so that without ``timeout_s`` something comes."""
        return self._incoming.read_into(buffer, timeout_s)

    def fileno(self) -> int:
        """An eventfd."""
        return self._incoming.readable.fileno()

    def has_hung_up(self) -> bool:
        """Either end was closed."""
        return self._incoming.ended or self._incoming.left

    def unsent_bytes(self) -> int | None:
        """What waits in the pipe."""
        return len(self._outgoing.data)

    def close(self) -> None:
        """Both directions."""
        self._outgoing.end()
        self._incoming.leave()


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Both ends of a link."""
    there, back = _Pipe(), _Pipe()
    return MemoryTransport(back, there), MemoryTransport(there, back)


class _MemoryListener(Listener):
    def __init__(self, name: str) -> None:
        self.address = f"memory:{name}"
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[MemoryTransport] = deque()
        self._readable = _Readable()

    def fileno(self) -> int:
        return self._readable.fileno()

    def dialled(self) -> MemoryTransport:
        ours, theirs = memory_pair()
        with self._lock:
            self._waiting.append(ours)
            self._readable.show(True)
        return theirs

    def accept(self) -> Transport | None:
        with self._lock:
            found = self._waiting.popleft() if self._waiting else None
            self._readable.show(bool(self._waiting))
        return found

    def close(self) -> None:
        with _listeners_lock, contextlib.suppress(KeyError):
            if _listeners[self._name] is self:
                del _listeners[self._name]
        with self._lock:
            while self._waiting:
                self._waiting.popleft().close()
            self._readable.close()


class MemoryEndpoint(Endpoint):
    """``name``: of the listener in this process."""

    def __init__(self, text: str, option: str) -> None:
        super().__init__(text, option)
        self.name = text.partition(":")[2]

    @classmethod
    def at(cls, text: str, option: str, *, insecure: bool) -> Self:  # noqa: ARG003 - it never leaves this process
        """Any name."""
        return cls(text, option)

    def dial(self, timeout_s: float) -> Transport:  # noqa: ARG002 - it is there or it is not
        """:raises ConnectionRefusedError: nobody listens."""
        with _listeners_lock:
            if (listener := _listeners.get(self.name)) is None:
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            return listener.dialled()

    def listen(self, access: Access | None = None) -> Listener:
        """One at a time by each name."""
        self.require_no_access(access)
        with _listeners_lock:
            if self.name in _listeners:
                raise UserError(f"{self}: in use in this process; choose another name")
            _listeners[self.name] = listener = _MemoryListener(self.name)
        return listener
