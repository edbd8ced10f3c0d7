"""Stands between the receiver and the destination QEMU, passes every byte on, and can hold a migration at a place in its stream.

Where nothing comes through, everything behind it waits: so a fault strikes at that very moment, however busy the machine is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from harness.faults.between import Between
from harness.migrator.transport.sockets import shut_all
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


class Tap(Between):
    """Listens at ``here`` and dials ``there`` for who comes. ``held``: the first migration that comes to ``at`` waits there for
    ``release``. ``passed_all``: the destination was given the stream's last byte."""

    def __init__(self, here: Path, there: Path, at: At | None) -> None:
        super().__init__(here, most_waiting=1)
        self.held, self._released = threading.Event(), threading.Event()
        self.passed_all = False
        self._there, self._at = there, at

    def _serve(self) -> None:
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
        """As of any that stands between."""
        self.release()
        super().close()
