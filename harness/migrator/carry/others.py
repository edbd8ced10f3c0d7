"""The connections that a QEMU makes besides its main one: let in, told apart, each given a link, and ended with the migration.

They are read once the main one is on its way, for QEMU 7.2 takes the first that comes to its destination for the main one.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from harness.errors import QemuError
from harness.migrator.carry.channel import Channel
from harness.migrator.carry.pipeline import Failure, spawn
from harness.migrator.gate import Gate, beginning
from harness.migrator.report import ChannelKind
from harness.migrator.session import FrameLink
from harness.migrator.transport.sockets import close_all, shut_all
from harness.wire.qemu.marks import MAGIC, MULTIFD_MAGIC

_OPEN_S = 10.0
"""How long QEMU may leave the others open when its main connection has ended."""


class Others:
    """Besides ``main``, at ``gate``; ``begun`` is set once that is on its way. ``join`` makes a link by a channel's number and what
    it is for, and ``make`` the channel of it and of a connection. ``say`` gets a line for each that is turned away. Threads: the
    gate's, and one for each.
    """

    def __init__(
        self,
        main: Channel,
        begun: threading.Event,
        gate: Gate,
        failure: Failure,
        *,
        join: Callable[[int, ChannelKind], FrameLink],
        make: Callable[[int, FrameLink, socket.socket, ChannelKind], Channel],
        say: Callable[[str], None],
    ) -> None:
        self.channels: list[Channel] = []
        self._main = main
        self._begun = begun
        self._gate = gate
        self._failure = failure
        self._join = join
        self._make = make
        self._say = say
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._open = self._joining = self._numbers = 0
        self._ended = False

    def start(self) -> None:
        """Let them in from now on."""
        self._gate_thread = spawn("gate", lambda: self._gate.serve(self._let_in), self._failure)

    def _let_in(self, connection: socket.socket) -> None:
        """:raises QemuError: one too many."""
        self._connections.append(connection)
        with self._changed:
            self._open += 1
        self._gate.require_room(1 + len(self._connections))
        name = f"channel-{len(self._threads) + 1}"
        self._threads.append(spawn(name, lambda: self._carry(connection), self._failure))

    def _carry(self, connection: socket.socket) -> None:
        """In a thread of its own: all of one channel, from its first bytes to its confirmed end."""
        try:
            channel = self._read(connection)
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()
        if channel is not None:
            channel.finish()
            channel.done.wait()

    def _read(self, connection: socket.socket) -> Channel | None:
        parser = self._main.source.parser
        begin = beginning(connection, lambda: not parser.ram.postcopy_advised)
        if begin is not None and MAGIC.startswith(begin):
            what = "brings a second migration, of which one is carried" if begin else "left at once"
            self._turn_away(connection, what)
            return None
        self._begun.wait()
        channel = self._opened(connection, "multifd" if begin == MULTIFD_MAGIC else "other")
        if channel is not None:
            channel.start()
            channel.read()
        return channel

    def _turn_away(self, connection: socket.socket, what: str) -> None:
        self._connections.remove(connection)
        close_all(connection)
        if self._failure.error is None:
            self._say(f"a further connection {what}; it was closed, and the migration goes on")

    def _opened(self, connection: socket.socket, kind: ChannelKind) -> Channel | None:
        """The channel, with its link. None: the migration has ended."""
        with self._changed:
            if self._ended:
                return None
            self._joining += 1
            self._numbers += 1
            number = self._numbers
        link: FrameLink | None = None
        try:
            link = self._join(number, kind)
        finally:
            with self._changed:
                self._joining -= 1
                self._changed.notify_all()
                channel = None if link is None else self._registered(number, link, connection, kind)
        return channel

    def _registered(self, number: int, link: FrameLink, connection: socket.socket, kind: ChannelKind) -> Channel | None:
        if self._failure.error is not None:
            link.close()
            return None
        self.channels.append(self._make(number, link, connection, kind))
        return self.channels[-1]

    def end(self, *, confirmed: bool) -> None:
        """The main channel has ended. Once the destination has all, no other is waited for; else QEMU ends them itself, and what
        came on them is carried. :raises QemuError: it does not."""
        self._gate.close()
        self._gate_thread.join()
        if self._failure.error is None and not confirmed:
            self._await_ends()
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: not self._joining)
        for channel in self.channels:
            channel.source.end_reading()

    def _await_ends(self) -> None:
        with self._changed:
            if self._changed.wait_for(lambda: not self._open, _OPEN_S):
                return
        for channel in self.channels:
            if channel.source.parser.counts.stream_bytes and not channel.read_all:
                raise QemuError(
                    f"the source QEMU ended its migration, and left channel {channel.number} open for {_OPEN_S:g} s more; "
                    "see which of the two QEMUs runs its guest before you start one"
                )

    def stop(self) -> None:
        """The migration failed, and its main connection is closed: close these as QEMU bears it, and wake their threads."""
        with self._changed:
            self._ended = True
        self._begun.set()
        self._gate.close()
        counts = self._main.source.parser.counts
        with_pages = counts.raw_pages + counts.zero_pages  # with the first, QEMU has made its connections
        if self._connections and not with_pages:
            self._gate.settle(self._connections)
        shut_all(*self._connections)
        for channel in tuple(self.channels):
            channel.stop()

    def close(self) -> None:
        """Whatever is left, and wait for the threads."""
        self._gate.close()
        self._gate_thread.join()
        for thread in self._threads:
            thread.join()
        close_all(*self._connections)
        for channel in self.channels:
            channel.close()
