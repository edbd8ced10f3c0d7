"""Connections that are carried inside the agent's stream: bytes of a socket here are a socket's bytes there."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator

from harness.errors import FrameError
from harness.hosts.agent.frames import Frames
from harness.hosts.agent.messages import Close, Data

_READ_BYTES = 1 << 16
_MOST_PIECE_BYTES = 4 * _READ_BYTES
"""Neither ``pieces`` nor ``stamped`` makes larger ones."""
_MOST_WAITING = 1024
"""Pieces for a socket that nobody reads; more are no consoles' and no QMP's, and the channel ends."""


Read = Callable[[socket.socket], Iterator[bytes]]
"""What of a socket is sent at a time, until it closes."""


def pieces(end: socket.socket) -> Iterator[bytes]:
    """As they come. :raises OSError: it is cut."""
    while data := end.recv(_READ_BYTES):
        yield data


class _Channel:
    """A socket, a thread that reads it and one that writes it: nobody else waits for either."""

    def __init__(self, number: int, end: socket.socket, frames: Frames, read: Read) -> None:
        self._number, self._end, self._frames, self._pieces = number, end, frames, read
        self._waiting: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        self._start(self._write)

    def begin(self) -> None:
        """To read, once the other side knows the number."""
        self._start(self._read)

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=f"channel-{self._number}", daemon=True).start()

    def give(self, data: bytes) -> None:
        """To be written; nothing: the end."""
        try:
            self._waiting.put_nowait(data)
        except queue.Full:
            self.cut()

    def cut(self) -> None:
        """Both threads end."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(b"")

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            for data in self._pieces(self._end):
                self._frames.send(Data(channel=self._number), data)
        with contextlib.suppress(OSError):
            self._frames.send(Close(channel=self._number))
        self.cut()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._waiting.get():
                self._end.sendall(data)
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


class Channels:
    """Those of one agent's stream, by number."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._open: dict[int, _Channel] = {}

    def add(self, number: int, end: socket.socket, read: Read = pieces) -> None:
        """One that the other side knows already; ``end`` is this object's from now on."""
        self.hold(number, end, read)
        self.begin(number)

    def hold(self, number: int, end: socket.socket, read: Read = pieces) -> None:
        """As ``add``, but nothing of ``end`` is sent before ``begin``: a side that does not know the number would drop it."""
        self._open[number] = _Channel(number, end, self._frames, read)

    def begin(self, number: int) -> None:
        """The other side knows it now; it may have closed it, too."""
        if (channel := self._open.get(number)) is not None:
            channel.begin()

    def take(self, number: int, data: bytes) -> None:
        """What came for one, which may have gone. :raises FrameError: no end of ours sends so much at once."""
        if len(data) > _MOST_PIECE_BYTES:
            raise FrameError(
                f"the agent's stream: {len(data)} bytes at once for channel {number}, and at most {_MOST_PIECE_BYTES} come"
            )
        if (channel := self._open.get(number)) is not None:
            channel.give(data)

    def close(self, number: int) -> None:
        """What came before is still written."""
        if (channel := self._open.pop(number, None)) is not None:
            channel.give(b"")

    def cut_all(self) -> None:
        """At the stream's end."""
        for channel in tuple(self._open.values()):
            channel.cut()
