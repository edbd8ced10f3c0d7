"""Where a QEMU comes in with its migration: one main connection, and those that multifd and postcopy-preempt make besides, early or
late. Tells them apart by their first bytes, and lets in so many. Carries nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Self

from harness.errors import QemuError
from harness.migrator.transport.sockets import SocketListener, close_all, somebody_waits
from harness.wire.qemu.marks import CPR_MAGIC, MULTIFD_MAGIC

_BEGIN_BYTES = 4
_SILENT_S = 0.1
"""What multifd opens speaks at once; what postcopy-preempt opens says nothing until a page is asked for."""

_LOOK_S = 0.005
_SETTLE_S = 5.0
"""How long a QEMU whose migration failed may take to give up its connections; then they are closed under it."""

_CPR = (
    "the source QEMU migrates in mode cpr-transfer, which passes open files to another QEMU on the same host and cannot be "
    "carried; migrate in mode normal"
)


def beginning(connection: socket.socket, speaks: Callable[[], bool]) -> bytes | None:
    """Its first bytes, which stay there, up to four: as many as tell whether it is a channel of multifd. b"": it was closed. None:
    it says nothing for a while, or ``speaks`` says that not all do. :raises QemuError: what it brings cannot be carried."""
    deadline_s = time.monotonic() + _SILENT_S
    while True:
        try:
            begin = connection.recv(_BEGIN_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            if len(begin) == _BEGIN_BYTES or not begin or not MULTIFD_MAGIC.startswith(begin):
                break
        except BlockingIOError:
            pass
        except OSError:
            return b""
        if time.monotonic() >= deadline_s or not speaks():
            return None
        time.sleep(_LOOK_S)
    if begin == CPR_MAGIC:
        raise QemuError(_CPR)
    return begin


class Gate:
    """At ``listener``, which its maker closes. ``most`` connections are let in. ``say`` gets a line for who says nothing.

    ``await_migration``, then ``serve`` belong to a thread each; ``close`` to any. A context manager, left when ``serve`` is over.
    """

    def __init__(self, listener: SocketListener, most: int, say: Callable[[str], None] = lambda _: None) -> None:
        self._listener = listener
        self._most = most
        self._say = say
        self._early: list[socket.socket] = []
        self._told = self._silent = 0
        self._end = os.eventfd(0, os.EFD_CLOEXEC)

    def await_migration(self, meanwhile: int) -> socket.socket | None:
        """The main connection: the first of those that bring something else than a channel of multifd. One that is closed without a
        word is none. None: the descriptor ``meanwhile`` has something to be read first.

        :raises QemuError: more connections than may be, or a migration that cannot be carried.
        """
        try:
            return self._await_migration(meanwhile)
        except QemuError:
            first, self._early = self._early[:1], self._early[1:]
            close_all(*first)
            self.settle(())
            raise

    def _await_migration(self, meanwhile: int) -> socket.socket | None:
        unknown: list[socket.socket] = []
        while True:
            ready = self._ready([meanwhile, self._listener.fileno(), *(each.fileno() for each in unknown)])
            if meanwhile in ready:
                return None
            if self._listener.fileno() in ready and (came := self._next()) is not None:
                unknown.append(came)
                self._early.append(came)
                self.require_room(len(self._early))
            for each in [one for one in unknown if one.fileno() in ready]:
                begin = beginning(each, lambda: True)
                if begin is None:
                    continue
                unknown.remove(each)
                if not begin:
                    self._early.remove(each)
                    each.close()
                    self._say("a connection was closed before anything came; waiting on")
                elif begin != MULTIFD_MAGIC:
                    self._early.remove(each)
                    return each

    def serve(self, let_in: Callable[[socket.socket], None]) -> None:
        """``let_in`` all others, those that came before too, until this is closed, and who waits then. Raises as
        ``await_migration``."""
        early, self._early = self._early, []
        for each in early:
            let_in(each)
        while self._end not in (ready := self._ready([self._listener.fileno(), self._end])):
            if ready and (came := self._next()) is not None:
                let_in(came)
        while (came := self._next()) is not None:
            let_in(came)

    def require_room(self, count: int) -> None:
        """:raises QemuError: of ``count`` connections the last is one too many."""
        if count > self._most:
            raise QemuError(
                f"--from {self._listener.address}: more than {self._most} connections came; a migration has one, one for each of "
                "multifd-channels and one for postcopy-preempt: give more --max-channels to both halves"
            )

    def settle(self, held: Iterable[socket.socket]) -> None:
        """Once the main connection is closed: let QEMU end the others, ``held``; those that it still makes are taken too.

        QEMU 7.2 dies (SIGSEGV) if it loses one of multifd's channels while it still connects another: it clears its migration
        away, and then the other comes to it. The end of the first connection it notices only when all channels stand. With
        channels closed as they came it died in 6 of 120 migrations (2 and 8 channels, with and without return-path; 7.2.22,
        2026-11-27), and in 13 of 30 with a channel 300 ms late; in this order in none of 120, and none of 60 with late ones.
        """
        open_ones = {each.fileno(): each for each in (*held, *self._early) if each.fileno() >= 0}
        taken: list[socket.socket] = list(self._early)
        deadline_s = time.monotonic() + _SETTLE_S
        while open_ones and (left_s := deadline_s - time.monotonic()) > 0:
            poll = select.poll()
            for descriptor in open_ones:
                poll.register(descriptor, select.POLLRDHUP)
            poll.register(self._listener, select.POLLIN)
            for descriptor, _ in poll.poll(left_s * 1000):
                if open_ones.pop(descriptor, None) is None and (other := self._next()) is not None:
                    open_ones[other.fileno()] = other
                    taken.append(other)
        close_all(*taken)

    def _ready(self, descriptors: Iterable[int]) -> set[int]:
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll()}

    def _next(self) -> socket.socket | None:
        """Who waits, if anybody does. :raises QemuError: somebody does, and no more files may be opened to let him in."""
        try:
            connection = self._listener.socket.accept()[0]
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE) and somebody_waits(self._listener):
                why = f"one more connection came, and cannot be let in: {exc.strerror}; raise `ulimit -n`"
                raise QemuError(f"--from {self._listener.address}: {why}") from exc
            return None
        connection.setblocking(True)
        return connection

    def close(self) -> None:
        """Nobody is let in any more. May be called twice."""
        close_all(*self._early)
        with contextlib.suppress(OSError):
            os.eventfd_write(self._end, 1)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closed, and no file of it is open."""
        self.close()
        end, self._end = self._end, -1
        os.close(end)
