"""A pair between a source and a destination that a test plays with several connections, as multifd's QEMUs do."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

import sample_streams
from pairs import Pair

from harness.wire.qemu.marks import MULTIFD_MAGIC

BARE = sample_streams.small_stream(5, sections=3)
NAME_BYTES = 8
"""Of what a channel of the test begins with: multifd's magic and its number."""


def channel_data(number: int, count: int, seed: int = 0) -> bytes:
    """What a channel brings: half of it compresses."""
    noise = random.Random(f"{seed} {number}")
    body = b"".join(noise.randbytes(500) + bytes(500) for _ in range(count // 1000))
    return MULTIFD_MAGIC + number.to_bytes(4) + body


class Channels(Pair):
    """``connect`` makes one more connection of the source. ``arrive`` takes all that come to the destination."""

    def __init__(self, tmp_path, backend=None, **more) -> None:
        super().__init__(tmp_path, backend, **more)
        self.path = tmp_path / "s"
        self.destination_listener.listen(300)
        self.destination_listener.settimeout(60)
        self.others: list[socket.socket] = []
        self.came: list[socket.socket] = []

    def __exit__(self, *about) -> None:
        for each in (*self.others, *self.came):
            each.close()
        super().__exit__(*about)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        self.others.append(connection)
        connection.connect(str(self.path))
        return connection

    def accept(self) -> socket.socket:
        connection, _ = self.destination_listener.accept()
        connection.settimeout(60)
        self.came.append(connection)
        return connection


def written(
    connection: socket.socket, data: bytes, cuts: list[int], may_end: threading.Event | None = None
) -> threading.Thread:
    """Writes ``data`` in pieces and ends, once it may; it may be refused."""

    def write() -> None:
        at = 0
        with contextlib.suppress(OSError):
            for cut in [*sorted(cuts), len(data)]:
                connection.sendall(data[at:cut])
                at = max(at, cut)
            if may_end is not None:
                may_end.wait(60)
            connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 20):
            parts.append(data)
    return b"".join(parts)


def arrived(pair: Channels, count: int, all_made: threading.Event | None = None) -> list[bytes]:
    """What reaches the destination on each of ``count`` connections, in the order in which they were made; says when all are."""
    found: list[bytes] = [b""] * count

    def read(number: int, connection: socket.socket) -> None:
        found[number] = read_all(connection)
        if number == 0:
            connection.close()

    readers = []
    for number in range(count):
        readers.append(threading.Thread(target=read, args=(number, pair.accept()), daemon=True))
        readers[-1].start()
    if all_made is not None:
        all_made.set()
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive(), "a connection to the destination has no end"
    return found
