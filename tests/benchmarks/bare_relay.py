"""Forwards connections and does nothing else, in the place of one half of the pair: what this takes, no program there can save.

``python tests/benchmarks/bare_relay.py copy|splice|compress|restore LISTEN TARGET CONNECTIONS [LEVEL]``, with addresses as
``unix:PATH`` or ``tcp:HOST:PORT``. ``copy`` waits for 1 MiB, or 2 ms, and writes it; ``splice`` never sees it. ``compress`` does as
``copy``, with a frame of zstd instead, behind 4 bytes that say how long it is; ``restore`` is its other end. Nothing is parsed and
nothing checked. Says where it is ready, and then the CPU seconds that it took: its own, the kernel's for it, and those of zstd.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

import zstandard

from harness.hosts.ours import READY

PIECE_BYTES = 1 << 20
_LINGER = struct.pack("@ll", 0, 2000)
_ANSWER_BYTES = 64 << 10
_SIZE_BYTES = 4
_MOST_PACKED_BYTES = PIECE_BYTES + (PIECE_BYTES >> 7)
Way = Callable[[socket.socket, socket.socket], None]


def socket_at(address: str) -> tuple[socket.socket, str | tuple[str, int]]:
    """A new one, and what to bind it or connect it to."""
    kind, _, place = address.partition(":")
    if kind == "unix":
        return socket.socket(socket.AF_UNIX), place
    host, _, port = place.rpartition(":")
    opened = socket.socket()
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened, (host, int(port))


def copy(here: socket.socket, onward: socket.socket) -> None:
    """To its end; what came goes on after 2 ms, for QEMU may wait for an answer to it."""
    pieces(here, onward.sendall)


def pieces(here: socket.socket, each: Callable[[memoryview], None]) -> None:
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LINGER)
    poll = select.poll()
    poll.register(here, select.POLLIN)
    room = memoryview(bytearray(PIECE_BYTES))
    while True:
        try:
            count = here.recv_into(room, 0, socket.MSG_WAITALL)
        except BlockingIOError:
            poll.poll()
            continue
        if not count:
            return
        each(room[:count])


def splice(here: socket.socket, onward: socket.socket) -> None:
    """To its end, through a pipe that holds what its socket does."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
    while count := os.splice(here.fileno(), into, PIECE_BYTES):
        while count:
            count -= os.splice(out, onward.fileno(), count)


class Codec:
    """A frame for each piece and no stream: one call restores it, where a stream's decoder copies all out of its window."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._calls_s: list[list[float]] = []

    @property
    def cpu_s(self) -> float:
        """Of all calls."""
        return sum(map(sum, self._calls_s))

    def compress(self, here: socket.socket, onward: socket.socket) -> None:
        """To its end."""
        work = self._timed(zstandard.ZstdCompressor(self._level).compress)

        def each(piece: memoryview) -> None:
            packed = work(piece)
            sent = onward.sendmsg([len(packed).to_bytes(_SIZE_BYTES, "little"), packed])
            onward.sendall(memoryview(packed)[sent - _SIZE_BYTES :])

        pieces(here, each)

    def restore(self, here: socket.socket, onward: socket.socket) -> None:
        """To its end."""
        work = self._timed(zstandard.ZstdDecompressor().decompress)
        room = memoryview(bytearray(_MOST_PACKED_BYTES))
        while here.recv_into(room[:_SIZE_BYTES], 0, socket.MSG_WAITALL):
            packed = room[: int.from_bytes(room[:_SIZE_BYTES], "little")]
            here.recv_into(packed, 0, socket.MSG_WAITALL)
            onward.sendall(work(packed))

    def _timed(self, work: Callable[[memoryview], bytes]) -> Callable[[memoryview], bytes]:
        calls_s: list[float] = []
        self._calls_s.append(calls_s)

        def timed(data: memoryview) -> bytes:
            began_s = time.thread_time()
            made = work(data)
            calls_s.append(time.thread_time() - began_s)
            return made

        return timed


def answer(onward: socket.socket, here: socket.socket) -> None:
    while data := onward.recv(_ANSWER_BYTES):
        here.sendall(data)


def until_end(way: Way, come: socket.socket, go: socket.socket) -> None:
    """Also where its other side was faster to close."""
    with contextlib.suppress(OSError):
        way(come, go)
    with contextlib.suppress(OSError):
        go.shutdown(socket.SHUT_WR)


def main() -> None:
    how, heard, target, connections, *level = sys.argv[1:]
    codec = Codec(int(level[0]) if level else 1)
    ways: dict[str, Way] = {"copy": copy, "splice": splice, "compress": codec.compress, "restore": codec.restore}
    way = ways[how]
    listener, place = socket_at(heard)
    listener.bind(place)
    listener.listen(16)
    bound = listener.getsockname()
    print(f"{READY}{bound if isinstance(bound, str) else ':'.join(map(str, bound))}", flush=True)
    began = resource.getrusage(resource.RUSAGE_SELF)
    threads = []
    for _ in range(int(connections)):
        here, _ = listener.accept()
        onward, place = socket_at(target)
        onward.connect(place)  # before the next is taken: QEMU takes the first for its main one
        threads += [
            threading.Thread(target=until_end, args=each) for each in ((way, here, onward), (answer, onward, here))
        ]
        threads[-2].start()
        threads[-1].start()
    for thread in threads:
        thread.join()
    ended = resource.getrusage(resource.RUSAGE_SELF)
    print(ended.ru_utime - began.ru_utime, ended.ru_stime - began.ru_stime, codec.cpu_s)


if __name__ == "__main__":
    main()
