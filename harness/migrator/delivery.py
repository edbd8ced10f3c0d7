"""What happens on the destination QEMU's connection: the stream to it, its answers, and whether it loaded all. Knows no codecs, no
link."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from harness.errors import FrameError, QemuError
from harness.migrator.destination import Destination
from harness.wire.pair.verdict import Fate
from harness.wire.qemu.returnpath import ReturnPath

_CLOSING_TIMEOUT_S = 60.0
_CLOSED_EARLY_S = 5.0
"""How long the stream's end may follow behind QEMU's close."""

_RETURN_BYTES = 32 << 10


class Delivery:
    """``deliver`` and ``answers`` belong to a thread each. QEMU is connected to, and so listened to, with the first batch."""

    _remedy = "its log says why"

    def __init__(self, destination: Destination) -> None:
        self.delivered_bytes = 0
        self._destination = destination
        self._returned = ReturnPath()
        self._read_all = True
        self._begun, self._ended, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._answered = threading.Event()

    @property
    def confirmed(self) -> bool:
        """Whether QEMU said that it loaded all."""
        return self._returned.shut == 0

    @property
    def fate(self) -> Fate:
        """What is known of the guest here, with return path: without, QEMU says nothing."""
        if self._returned.shut is None and not self._answered.is_set():
            return Fate.OPEN
        return Fate.ARRIVED if self.confirmed else Fate.FAILED

    def end(self) -> None:
        """All of the stream is known, if not delivered."""
        self._ended.set()

    def deliver(self, raw: memoryview) -> None:
        """:raises PeerError: nobody is there. :raises QemuError: it closed."""
        self._destination.connect()
        self._begun.set()
        self._write(raw)

    def _write(self, raw: memoryview) -> None:
        connection = self._destination.connect()
        try:
            connection.sendall(raw)
        except OSError as exc:
            raise QemuError(
                f"the destination QEMU closed its connection at byte {self.delivered_bytes}: {exc.strerror or exc}; "
                f"{self._remedy}"
            ) from exc
        self.delivered_bytes += len(raw)

    def await_begun(self) -> None:
        """Until QEMU was connected to, or never will be."""
        self._begun.wait()

    def answers(self) -> Iterator[bytes]:
        """QEMU's return path until it closes, as it is."""
        self._begun.wait()
        for data in self._answers():
            self._returned.receive_data(data)
            yield data
        self._answered.set()

    def require_loaded(self) -> None:
        """Once it answers no more. :raises QemuError: it has not loaded the stream, as far as can be told.

        Without return path QEMU may close before our END is here.
        """
        if self._destination.socket is not None:
            self._require_loaded()
            self._closed.set()

    def _answers(self) -> Iterator[bytes]:
        connection = self._destination.socket
        while connection is not None:
            try:
                data = connection.recv(_RETURN_BYTES)
            except OSError:  # a unix socket that is closed with bytes unread says so
                data, self._read_all = b"", False
            if not data:
                return
            yield data

    def _require_loaded(self) -> None:
        shut, at = self._returned.shut, self.delivered_bytes
        if shut:
            raise QemuError(
                f"the destination QEMU answered that it could not load the stream ({at} bytes); its log says why"
            )
        if shut is None and not (self._read_all and self._ended.wait(_CLOSED_EARLY_S)):
            raise QemuError(
                f"the destination QEMU closed its connection at byte {at}, before the stream's end; its log says why"
            )

    def finish(self) -> None:
        """The stream is whole: end it, and wait until QEMU has closed. :raises QemuError: it does not. :raises FrameError: nothing
        was in it."""
        connection = self._destination.socket
        if connection is None:
            raise FrameError("the sender's stream ended before it began")
        with contextlib.suppress(OSError):  # QEMU was faster: it has all it wants and closed
            connection.shutdown(socket.SHUT_WR)
        if not self._closed.wait(_CLOSING_TIMEOUT_S):
            raise QemuError(f"the destination QEMU did not close within {_CLOSING_TIMEOUT_S:.0f} s of the stream's end")

    def stop(self) -> None:
        """Before the end: QEMU gets no more. If it lacks anything its guest never runs; it may have had all. Its answers are read
        until it closes. Wakes whoever waits here."""
        self._destination.end()
        for event in (self._begun, self._ended, self._closed):
            event.set()

    def shut(self) -> None:
        """Also its answers."""
        self.stop()
        self._destination.shut()

    def close(self) -> None:
        """Once no thread writes or reads here any more."""
        self._destination.close()


class SideDelivery(Delivery):
    """On one more connection of the migration that ``main`` delivers. It is made as soon as the main one stands, for QEMU takes the
    first for that, and waits for those that say nothing yet. The main one alone tells whether all was loaded."""

    _remedy = "its log says why; multifd, multifd-channels and postcopy-preempt must be set alike in both QEMUs"

    def __init__(self, destination: Destination, main: Delivery) -> None:
        super().__init__(destination)
        self._main = main

    def deliver(self, raw: memoryview) -> None:
        """As ``Delivery``'s."""
        self._begun.wait()
        self._write(raw)

    def answers(self) -> Iterator[bytes]:
        """Connects, then as ``Delivery``'s. :raises PeerError: QEMU takes no more connections."""
        self._main.await_begun()
        self._destination.connect()
        self._begun.set()
        yield from self._answers()

    def require_loaded(self) -> None:
        """Nothing is known of it here."""

    def finish(self) -> None:
        """Nothing more comes here."""
        self._begun.wait()
        if (connection := self._destination.socket) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
