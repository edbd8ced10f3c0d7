"""What two QEMUs would do at the pair's ends, as far as it decides where the guest runs. They believe bytes, and nobody's report.

The source's guest stands still while all was written and no answer came, and for good once the destination's last word (SHUT, 0)
did; where its connection ends before that, it runs on, as QEMU lets it. The destination's guest runs once all of the stream came,
and only then (QEMU's migration/migration.c).
"""

from __future__ import annotations

import abc
import contextlib
import socket
import threading
import time
from pathlib import Path

from harness.migrator.transport.sockets import close_all
from harness.wire.qemu.returnpath import SHUT_ALL_LOADED, ReturnPath

_PIECE_BYTES = 64 << 10
_AGAIN_S = 0.005


class _StandIn(abc.ABC):
    """In a thread, with ``_open`` sockets."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._killed = threading.Event()
        self._failure: RuntimeError | None = None
        self._thread = threading.Thread(target=self._guarded, name="faults-guest", daemon=True)

    def _guarded(self) -> None:
        try:
            with contextlib.suppress(OSError):
                self._play()
        except RuntimeError as exc:
            self._failure = exc
            close_all(*self._open)

    @abc.abstractmethod
    def _play(self) -> None: ...

    def ended_by(self, deadline_s: float) -> bool:
        """Waits until its part is over, or that moment of the monotonic clock; whether it is."""
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        return not self._thread.is_alive()

    def close(self) -> None:
        """As if its process was killed, if it still has a part. :raises RuntimeError: it could not start a thread."""
        self._killed.set()
        close_all(*self._open)
        self._thread.join(5)
        if self._failure is not None:
            raise self._failure


class SourceStandIn(_StandIn):
    """``confirmed``: the destination's word came, so that its guest stands still for good. ``held``: it waits for that word.
    ``connected``: its migration has begun."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__()
        self.confirmed = self.connected = False
        self._written = self._over = False
        self._path, self._data = path, data
        self._socket = socket.socket(socket.AF_UNIX)
        self._open.append(self._socket)
        self._thread.start()

    @property
    def held(self) -> bool:
        """As above."""
        return self._written and not self._over

    def _play(self) -> None:
        self._connect()
        writer = threading.Thread(target=self._write, name="faults-guest-writer", daemon=True)
        writer.start()
        answers = ReturnPath()
        with contextlib.suppress(OSError):
            while answers.shut is None and (piece := self._socket.recv(_PIECE_BYTES)):
                answers.receive_data(piece)
        self.confirmed = answers.shut == 0
        self._over = True
        close_all(self._socket)
        writer.join(5)

    def _connect(self) -> None:
        """As soon as the sender listens there."""
        while not self._killed.wait(_AGAIN_S):
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self._socket.connect(str(self._path))
                self.connected = True
                return

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(self._data)
            self._written = True


class DestinationStandIn(_StandIn):
    """``right``: every byte so far is the source's; ``runs``: all came, and its guest runs."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__()
        self.right = True
        self.runs = False
        self._data = memoryview(data)
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._open.append(self._listener)
        self._thread.start()

    def _play(self) -> None:
        connection, _ = self._listener.accept()
        self._open.append(connection)
        with connection:
            at = 0
            while at < len(self._data):
                piece = connection.recv(_PIECE_BYTES)
                if not piece:
                    return
                self.right = self.right and self._data[at : at + len(piece)] == piece
                at += len(piece)
            self.runs = True
            connection.sendall(SHUT_ALL_LOADED)

    def close(self) -> None:
        """And its socket's file goes."""
        super().close()
        self._path.unlink(missing_ok=True)
