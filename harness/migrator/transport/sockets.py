"""What kinds of links that are sockets have in common; the sockets to our own QEMU too are made and ended here."""

from __future__ import annotations

import abc
import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from harness.errors import MissingError, PeerError, UserError, refused
from harness.migrator.transport.contract import Access, Endpoint, Listener, Transport

_BACKLOG = 16
"""Connections that may wait before we look: all that come are to be seen, also those that are then refused."""


class _InUse:
    """A socket for who is in a call on it, several threads at once: it stays open meanwhile. With each batch, so no generator."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._lock = threading.Lock()
        self._calls = 0
        self._closed = False

    def __enter__(self) -> socket.socket:
        """:raises OSError: it was closed."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._calls += 1
        return self.socket

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            self._give_back()

    def close(self) -> None:
        """Shut it down now, and give its number back once no call is left."""
        with self._lock:
            self._closed = True
            shut_all(self.socket)
            self._give_back()

    def _give_back(self) -> None:
        if self._closed and not self._calls:
            self.socket.close()


class SocketTransport(Transport):
    """Always a blocking socket, so that no thread's deadline is another one's; with a deadline, poll waits.

    One that is closed while a thread is in a call on it is shut down at once, and its number given back once no call is left: see
    ``shut_all``.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._in_use = _InUse(connection)

    def send_parts(self, parts: Sequence[bytes | memoryview], timeout_s: float | None = None) -> int:
        """One system call where the kernel takes it all, and no joined copy."""
        views = [view for part in parts if len(view := memoryview(part))]
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        total = 0
        with self._in_use as connection:
            while views:
                sent = connection.sendmsg(views) if deadline_s is None else _sent_by(connection, deadline_s, views)
                total += sent
                while views and sent >= len(views[0]):
                    sent -= len(views.pop(0))
                if views and sent:
                    views[0] = views[0][sent:]
        return total

    def recv_into(self, buffer: memoryview, timeout_s: float | None = None) -> int | None:
        """A thread that is woken for whatever arrives spends its time waking up: without a deadline the kernel fills the buffer."""
        try:
            with self._in_use as connection:
                if timeout_s is None:
                    return connection.recv_into(buffer, 0, socket.MSG_WAITALL)
                if timeout_s > 0 and not _is_ready(connection, select.POLLIN, timeout_s):
                    return None
                return connection.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        """The socket's."""
        return self._in_use.socket.fileno()

    def has_hung_up(self) -> bool:
        """As the kernel knows."""
        try:
            with self._in_use as connection:
                return has_hung_up(connection)
        except OSError:
            return True

    def close(self) -> None:
        """Threads blocked on it wake up."""
        self._in_use.close()


class SocketListener(Listener):
    """``socket`` is for who wants it bare; ``transport`` is what becomes of those who are accepted."""

    def __init__(self, bound: socket.socket, address: str, transport: type[SocketTransport]) -> None:
        bound.setblocking(False)
        self.socket = bound
        self.address = address
        self._transport = transport

    def fileno(self) -> int:
        """The socket's."""
        return self.socket.fileno()

    def accept(self) -> Transport | None:
        """:raises OSError: too many open files."""
        try:
            connection, _ = self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        return self._transport(connection)

    def close(self) -> None:
        """Whoever waits there is refused."""
        self.socket.close()


class SocketEndpoint(Endpoint):
    """``places``: the family and socket address of each host that its name means."""

    transport: ClassVar[type[SocketTransport]] = SocketTransport

    def __init__(self, text: str, option: str, places: Sequence[tuple[int, Any]]) -> None:
        super().__init__(text, option)
        self.places = tuple(places)

    def dial(self, timeout_s: float) -> Transport:
        """As ``reach``."""
        return self.transport(self.reach(timeout_s))

    def connect(self, what: str, timeout_s: float) -> socket.socket:
        """As ``reach``, for users: ``what`` is to be done about a failure. :raises PeerError: nobody answers there.

        :raises MissingError: no such socket file, or our own limits do not let us.
        """
        try:
            return self.reach(timeout_s)
        except FileNotFoundError as exc:
            raise MissingError(f"{self}: no such socket; {what}") from exc
        except OSError as exc:
            error = PeerError if refused(exc) is None else MissingError
            raise error(self.why_unreachable(exc, what)) from exc

    def reach(self, timeout_s: float) -> socket.socket:
        """Blocking, connected to the first of its places that answers. :raises OSError: none; the last one's reason."""
        last: OSError | None = None
        for family, place in self.places:
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(timeout_s)
                connection.connect(place)
                if (
                    connection.getsockname() == connection.getpeername()
                ):  # TCP gave us the very port that we try (ip(7))
                    raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            except OSError as exc:
                connection.close()
                last = exc
            else:
                connection.settimeout(None)
                return connection
        raise last or OSError("no address")

    def listen(self, access: Access | None = None) -> SocketListener:
        """At the first of its places."""
        with contextlib.ExitStack() as undo:
            bound = undo.enter_context(socket.socket(self.places[0][0], socket.SOCK_STREAM))
            try:
                listener = undo.enter_context(self._bind(bound, access))
                bound.listen(_BACKLOG)
            except OSError as exc:
                raise UserError(f"{self}: cannot listen there: {exc.strerror or exc}; {self._remedy(exc)}") from exc
            undo.pop_all()
        return listener

    @abc.abstractmethod
    def _bind(self, bound: socket.socket, access: Access | None) -> SocketListener:
        """Bind it. :raises OSError: it cannot be. :raises UserError: ``access`` is not to be had."""

    @abc.abstractmethod
    def _remedy(self, error: OSError) -> str:
        """What to do where we may not listen."""


def _sent_by(connection: socket.socket, deadline_s: float, views: list[memoryview]) -> int:
    if not _is_ready(connection, select.POLLOUT, max(0.0, deadline_s - time.monotonic())):
        raise TimeoutError(errno.ETIMEDOUT, "the peer takes no more")
    return connection.sendmsg(views, (), socket.MSG_DONTWAIT)


def _is_ready(connection: socket.socket, event: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(timeout_s * 1000))


def somebody_waits(listener: SocketListener) -> bool:
    """Whether a connection is to be accepted there: without a free descriptor accept(2) fails before it looks."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def listener_pid(connection: socket.socket) -> int:
    """Of the process that listens at a unix socket's other end (unix(7), SO_PEERCRED); 0: one that we cannot see."""
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", given)[0])


def has_hung_up(connection: socket.socket) -> bool:
    """See ``Transport``."""
    poll = select.poll()
    with contextlib.suppress(ValueError):
        poll.register(connection, select.POLLRDHUP)
        return bool(poll.poll(0))
    return True


def shut_all(*sockets: socket.socket) -> None:
    """Shut down both ways: threads that wait on them wake up, and their peers see the end. Whoever reads them closes them: closed
    here, a number might be another socket's before a thread polls it, which would then wait for that one."""
    for item in sockets:
        with contextlib.suppress(OSError):
            item.shutdown(socket.SHUT_RDWR)


def close_all(*sockets: socket.socket | None) -> None:
    """Shut down and close: threads blocked on them wake up."""
    for item in sockets:
        if item is not None:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()
