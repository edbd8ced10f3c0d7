"""The destination QEMU's socket, connected to when there is something to give it.

``-incoming`` takes one connection: one that brings nothing ends that QEMU. And it may be made late: libvirt starts the QEMU while
the source is already migrating. So we connect with the first batch in hand, and wait until somebody listens there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from harness.errors import MissingError, PeerError, refused
from harness.migrator.transport.sockets import SocketEndpoint, shut_all

_AGAIN_S = 0.05
_BESIDE_S = 5.0
_CONNECT_TIMEOUT_S = 10.0
_REMEDY = "start the destination QEMU with -incoming there"
_FEWER = (
    "the destination QEMU takes no further connection of this migration; set multifd, multifd-channels and postcopy-preempt alike "
    "in both QEMUs"
)
_FINAL = (PermissionError,)
"""No waiting helps against these."""


class Destination:
    """``connect`` belongs to one thread, ``shut`` to any. ``say`` gets a line when we wait, and ``require_sender`` raises when
    there is nobody any more to wait for. ``prepare`` comes before each try to connect: an ``OSError`` says that it is too early."""

    def __init__(
        self,
        endpoint: SocketEndpoint,
        wait_s: float,
        say: Callable[[str], None] = lambda _: None,
        require_sender: Callable[[], None] = lambda: None,
        *,
        remedy: str = f"{_REMEDY}, or give more --wait",
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._prepare = prepare
        self._endpoint = endpoint
        self._wait_s = wait_s
        self._say = say
        self._require_sender = require_sender
        self._remedy = remedy
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self.socket: socket.socket | None = None

    def beside(self) -> Destination:
        """One more connection to the same QEMU, which listens already."""
        return Destination(self._endpoint, _BESIDE_S, require_sender=self._require_sender, remedy=_FEWER)

    def connect(self) -> socket.socket:
        """Connected, at the first call. :raises PeerError: nobody listens there in time, or it was closed meanwhile.

        :raises MissingError: our own limits do not let us.
        """
        if self.socket is None:
            connection = self._reached()
            with self._lock:
                self.socket = connection
                if self._closed.is_set():
                    shut_all(connection)
        return self.socket

    def _reached(self) -> socket.socket:
        deadline_s, told = time.monotonic() + self._wait_s, False
        while True:
            if self._closed.is_set():
                raise PeerError(f"{self._endpoint}: the migration ended before the destination QEMU was connected to")
            try:
                self._prepare()
                connection = self._endpoint.reach(_CONNECT_TIMEOUT_S)
            except OSError as exc:
                if (lack := refused(exc)) is not None:
                    raise MissingError(f"{self._endpoint}: {lack}") from exc
                if isinstance(exc, _FINAL) or time.monotonic() >= deadline_s:
                    what = _REMEDY if isinstance(exc, _FINAL) else f"waited for {self._wait_s:g} s; {self._remedy}"
                    raise PeerError(self._endpoint.why_unreachable(exc, what)) from exc
                if not told:
                    told = True
                    self._say(
                        f"waiting up to {self._wait_s:g} s for the destination QEMU to listen at {self._endpoint.text}"
                    )
            else:
                return connection
            self._require_sender()
            if self._closed.wait(_AGAIN_S):
                raise PeerError(f"{self._endpoint}: the migration ended before the destination QEMU listened there")

    def end(self) -> None:
        """Nothing more is written there; what it answers can still be read. Gives up connecting. May be called twice."""
        with self._lock:
            self._closed.set()
            if self.socket is not None:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)

    def shut(self) -> None:
        """Shut it down, or give up connecting: whoever is at it wakes up. May be called twice."""
        with self._lock:
            self._closed.set()
            if self.socket is not None:
                shut_all(self.socket)

    def close(self) -> None:
        """Once no thread is at it any more. May be called twice."""
        self.shut()
        if self.socket is not None:
            self.socket.close()
