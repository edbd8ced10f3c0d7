"""Stands between the receiver and the destination QEMU, passes every byte on, and can hold a migration at a place in its stream.

Where nothing comes through, everything behind it waits: so a fault strikes at that very moment, however busy the machine is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from harness.migrator.transport.sockets import close_all, shut_all
from harness.wire.qemu.returnpath import ReturnPath
from harness.wire.qemu.stream import QStreamParser

_PIECE_BYTES = 64 << 10
_FIRST_PASS_BYTES = 1 << 20


class At(Enum):
    """A place in the stream: the piece that has it is held. ``LOADED``: in the answers, the destination's word that it has all."""

    BEGUN = "first-pass"
    STOPPED = "guest-stopped"
    LAST = "device-state"
    LOADED = "confirmed"


@contextlib.contextmanager
def _passing(source: socket.socket, target: socket.socket) -> Iterator[None]:
    """An end is passed on as an end, and the death of either as that."""
    try:
        yield
        target.shutdown(socket.SHUT_WR)
    except OSError:
        shut_all(source, target)


class Tap:
    """Listens at ``here`` and dials ``there`` for who comes. ``held``: the first migration that comes to ``at`` waits there for
    ``release``. ``passed_all``: the destination was given the stream's last byte. A context manager."""

    def __init__(self, here: Path, there: Path, at: At | None) -> None:
        self.held, self._released = threading.Event(), threading.Event()
        self.passed_all = False
        self._here, self._there, self._at = here, there, at
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._failure: RuntimeError | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(here))
        self._listener.listen(1)

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name="faults-tap", daemon=True)
        thread.start()
        self._threads.append(thread)  # one that did not start cannot be joined

    def _guarded(self) -> None:
        """That no thread can be started is for ``close`` to raise; whoever has connected is let go at once."""
        try:
            self._serve()
        except RuntimeError as exc:
            self._failure = exc
            close_all(self._listener, *self._open)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._listener.accept()
            far = socket.socket(socket.AF_UNIX)
            self._open += [near, far]
            far.connect(str(self._there))
            self._spawn(self._forth, near, far)
            self._spawn(self._back, far, near)

    def _forth(self, source: socket.socket, target: socket.socket) -> None:
        parser, seen_bytes = QStreamParser(), 0
        with _passing(source, target):
            while piece := source.recv(_PIECE_BYTES):
                parser.receive_data(piece)
                seen_bytes += len(piece)
                if seen_bytes >= _FIRST_PASS_BYTES:
                    self._hold(At.BEGUN)
                if parser.ending:
                    self._hold(At.STOPPED)
                    parser.flush()
                if whole := parser.is_whole():
                    self._hold(At.LAST)
                target.sendall(piece)
                self.passed_all = whole

    def _back(self, source: socket.socket, target: socket.socket) -> None:
        answers = ReturnPath()
        with _passing(source, target):
            while piece := source.recv(_PIECE_BYTES):
                answers.receive_data(piece)
                if answers.shut is not None:
                    self._hold(At.LOADED)
                target.sendall(piece)

    def _hold(self, place: At) -> None:
        if place is self._at:
            self.held.set()
            self._released.wait()

    def release(self) -> None:
        """Whatever is held, and nothing more is."""
        self._released.set()

    def close(self) -> None:
        """Whatever it holds open. :raises RuntimeError: it could not start a thread."""
        self.release()
        close_all(self._listener, *self._open)
        for thread in self._threads:
            thread.join(5)
        self._here.unlink(missing_ok=True)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Tap:
        """It listens. :raises RuntimeError: it cannot start a thread."""
        try:
            self._spawn(self._guarded)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Closed."""
        self.close()
