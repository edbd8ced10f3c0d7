"""Where a QEMU comes in with its migration: one connection, and whoever comes besides is noticed.

We carry one connection. With multifd and postcopy-preempt QEMU opens more, and believes that they are taken as soon as the kernel
has them: a guest whose second connection nobody reads stops for good. Those that come at the start are noticed before anything that
QEMU wrote after them goes on, and the migration fails while its guest runs. Those for post-copy come when QEMU is about to stop its
guest, and only then: by that time the entrance is shut, QEMU cannot connect, and gives up with its guest running. QEMU 10 waits
for a first answer before it makes them, so it is shut before that is handed over.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from collections.abc import Callable

from harness.errors import QemuError
from harness.migrator.transport.sockets import SocketListener, close_all, somebody_waits

_MULTIFD = b"\x11\x22\x33\x44"
"""With this each of multifd's channels begins, and no migration stream does."""

_SEVERAL = "multifd or postcopy-preempt: a recording has one connection; switch the capability off and migrate again"

_SETTLE_S = 5.0
"""How long a QEMU that was refused may take to give up its connections; then they are closed under it."""


class Entrance:
    """At ``listener``, which its maker closes. Used by one thread, but for ``shut``. ``say`` gets a line for who says nothing."""

    def __init__(self, listener: SocketListener, say: Callable[[str], None]) -> None:
        self._listener = listener
        self._say = say
        self._lock = threading.RLock()
        self._migration: socket.socket | None = None
        self._several = False
        self._poll: select.poll | None = None
        self.is_open = True

    def await_migration(self, timeout_s: float | None = None, meanwhile: int | None = None) -> socket.socket | None:
        """The first connection on which something comes; one that is closed without a word is not a migration. None: the descriptor
        ``meanwhile`` has something to be read first.

        :raises TimeoutError: nobody in time. :raises QemuError: several connections, or a channel of multifd.
        """
        connection: socket.socket | None = None
        try:
            while True:
                ready = self._ready(timeout_s, connection, meanwhile)
                if meanwhile in ready:
                    break
                if connection is None:
                    connection, _ = self._listener.socket.accept()
                    connection.setblocking(True)
                elif connection.fileno() not in ready:
                    self._migration = connection
                    self.require_alone()
                elif self._begins(connection):
                    self._migration, connection = connection, None
                    return self._migration
                else:
                    connection.close()
                    connection = None
                    self._say("a connection was closed before anything came; waiting on")
        finally:
            close_all(connection)
        return None

    def _ready(self, timeout_s: float | None, *others: socket.socket | int | None) -> set[int]:
        """Which of them and the listener have something."""
        poll = select.poll()
        for each in (self._listener, *others):
            if each is not None:
                poll.register(each, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}
        if not ready:
            raise TimeoutError
        return ready

    def _begins(self, connection: socket.socket) -> bool:
        """Whether something came, not its end. :raises QemuError: a channel of multifd."""
        try:
            begin = connection.recv(len(_MULTIFD), socket.MSG_PEEK)
        except OSError:
            return False
        if begin == _MULTIFD:
            raise QemuError(f"--from {self._listener.address}: {_SEVERAL}")
        return bool(begin)

    def attend(self, poll: select.poll) -> None:
        """Have ``poll`` wake up for whoever comes, until ``look`` ends it."""
        self._poll = poll
        poll.register(self._listener, select.POLLIN)

    def look(self, pages: int) -> None:
        """After each read and before it goes on. With the first of its ``pages`` QEMU has made all connections of the start.

        :raises QemuError: as ``require_alone``.
        """
        if self.is_open:
            self.require_alone()
            if pages:
                self.shut()
        elif self._poll is not None:
            self._poll.unregister(self._listener)
            self._poll = None

    def require_alone(self) -> None:
        """:raises QemuError: another connection has come. The migration has failed then, while its guest can run on."""
        with self._lock:
            if not self._several and (second := self._next()) is not None:
                self._several = True
                self._fail(second)
            if self._several:
                raise QemuError(f"--from {self._listener.address}: a second connection came: {_SEVERAL}")

    def shut(self) -> None:
        """Let nobody in any more: who tries is refused by the kernel, as if nobody listened. Any thread may call it, and again.

        :raises QemuError: as ``require_alone``, if somebody came before.
        """
        with self._lock:
            if self.is_open:
                self.require_alone()
                self.is_open = False
                self._listener.socket.shutdown(socket.SHUT_RDWR)
                self.require_alone()

    def _fail(self, second: socket.socket) -> None:
        """End the migration by its first connection, and let QEMU end the others; those that it still makes are taken too.

        QEMU 7.2 dies (SIGSEGV) if it loses one of multifd's channels while it still connects another: it clears its migration
        away, and then the other comes to it. The end of the first connection it notices only when all channels stand. With
        channels closed as they came it died in 6 of 120 migrations (2 and 8 channels, with and without return-path; 7.2.22,
        2026-11-27), and in 13 of 30 with a channel 300 ms late; in this order in none of 120, and none of 60 with late ones.
        """
        if self._migration is not None:
            with contextlib.suppress(OSError):
                self._migration.shutdown(socket.SHUT_RDWR)
        held, deadline_s = {second.fileno(): second}, time.monotonic() + _SETTLE_S
        while held and (left_s := deadline_s - time.monotonic()) > 0:
            poll = select.poll()
            for each in held:
                poll.register(each, select.POLLRDHUP)
            if self.is_open:
                poll.register(self._listener, select.POLLIN)
            for descriptor, _ in poll.poll(left_s * 1000):
                if descriptor in held:
                    held.pop(descriptor).close()
                elif (other := self._next()) is not None:
                    held[other.fileno()] = other
        close_all(*held.values())

    def _next(self) -> socket.socket | None:
        """Who waits, if anybody does. :raises QemuError: somebody does, and no more files may be opened to let him in."""
        try:
            return self._listener.socket.accept()[0]
        except OSError as exc:  # nobody waits, or it is shut
            if exc.errno in (errno.EMFILE, errno.ENFILE) and somebody_waits(self._listener):
                why = f"a second connection came, and cannot be let in: {exc.strerror}; raise `ulimit -n`"
                raise QemuError(f"--from {self._listener.address}: {why}; {_SEVERAL}") from exc
            return None
