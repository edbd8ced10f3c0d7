"""Stands on the link between the two halves, passes every message on, and does one thing to one of them. Knows no fault by name."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.faults.between import Between
from harness.faults.phases import FramePhase
from harness.faults.stream import CarriedStream
from harness.migrator.transport.sockets import close_all
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import HEADER_BYTES, Kind, decode_header

_NEXT_S = 0.3
"""How long a fault that takes two messages waits for the second."""
_BUFFER_BYTES = 1 << 16


class Direction:
    """One way of the link. A fault gets it with the message at hand. ``earlier``: what was passed on before, in order."""

    def __init__(
        self, source: socket.socket, target: socket.socket, rng: random.Random, listener: socket.socket
    ) -> None:
        self.rng = rng
        self._listener = listener
        self.earlier: list[bytes] = []
        self._source, self._target = source, target

    def send(self, data: bytes) -> None:
        """On to the other half."""
        self._target.sendall(data)

    def take(self) -> bytes | None:
        """The next message, whole; None: the link's end."""
        head = self._exactly(HEADER_BYTES)
        body = self._exactly(decode_header(head, 0).body_bytes) if head else b""
        return None if head is None or body is None else head + body

    def take_soon(self) -> bytes | None:
        """Likewise; None where none begins to come soon."""
        return self.take() if select.select([self._source], [], [], _NEXT_S)[0] else None

    def half_close(self) -> None:
        """Nothing comes this way any more, as far as the other half sees."""
        with contextlib.suppress(OSError):
            self._target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Both ways."""
        close_all(self._source, self._target)

    def cut_for_good(self) -> None:
        """And nobody can dial the other half any more."""
        close_all(self._listener)
        self.cut()

    def _exactly(self, count: int) -> bytes | None:
        data = bytearray()
        while len(data) < count:
            piece = self._source.recv(min(_BUFFER_BYTES, count - len(data)))
            if not piece:
                return None
            data += piece
        return bytes(data)


Fault = Callable[[Direction, bytes], bool]
"""Gets the message of its phase and passes on what it likes. Whether it could do what it is for."""


class Meddler(Between):
    """Listens at ``here`` and dials ``there``. The first link that comes to ``phase`` meets ``fault``.

    ``struck_s``: when that was, on the monotonic clock; None: not yet. ``could``: what the fault said.
    """

    def __init__(
        self, here: Path, there: Path, *, phase: FramePhase, fault: Fault, stream: CarriedStream, rng: random.Random
    ) -> None:
        super().__init__(here, most_waiting=8)
        self.struck_s: float | None = None
        self.could = False
        self._there, self._phase, self._fault, self._stream, self._rng = there, phase, fault, stream, rng
        self._striking = threading.Lock()

    def _serve(self) -> None:
        while True:
            near, _ = self._listener.accept()
            self._open.append(near)
            far = socket.socket(socket.AF_UNIX)
            self._open.append(far)
            try:
                far.connect(str(self._there))
            except OSError:
                close_all(near, far)
                continue
            self._spawn(self._pump, Role.SENDER, near, far)
            self._spawn(self._pump, Role.RECEIVER, far, near)

    def _pump(self, speaker: Role, source: socket.socket, target: socket.socket) -> None:
        way = Direction(source, target, self._rng, self._listener)
        at = seen = 0
        with contextlib.suppress(OSError):
            while (frame := way.take()) is not None:
                header = decode_header(frame[:HEADER_BYTES], 0)
                part = self._stream.part_at(at + header.raw_bytes - 1) if header.kind is Kind.BATCH else None
                fits = self._phase.fits(speaker, header.kind, part)
                at += header.raw_bytes
                seen += fits
                if fits and seen > self._phase.nth and self._strike():
                    self.could = self._fault(way, frame)
                else:
                    way.send(frame)
                way.earlier.append(frame)
        way.half_close()

    def _strike(self) -> bool:
        """Once."""
        with self._striking:
            if self.struck_s is not None:
                return False
            self.struck_s = time.monotonic()
            return True
