"""Forwards connections and does nothing else, in the place of one half of the pair: what this takes, no program there can save.

``python tests/benchmarks/bare_relay.py copy|splice LISTEN TARGET CONNECTIONS``, with addresses as ``unix:PATH`` or
``tcp:HOST:PORT``. ``copy`` waits for 1 MiB, or 2 ms, and writes it; ``splice`` never sees it. Says where it is ready, and then
the CPU seconds that it took: its own, and the kernel's for it.
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
from collections.abc import Callable

from harness.hosts.ours import READY

PIECE_BYTES = 1 << 20
_LINGER = struct.pack("@ll", 0, 2000)
_ANSWER_BYTES = 64 << 10


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
        onward.sendall(room[:count])


def splice(here: socket.socket, onward: socket.socket) -> None:
    """To its end, through a pipe that holds what its socket does."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, PIECE_BYTES)
    while count := os.splice(here.fileno(), into, PIECE_BYTES):
        while count:
            count -= os.splice(out, onward.fileno(), count)


def answer(onward: socket.socket, here: socket.socket) -> None:
    while data := onward.recv(_ANSWER_BYTES):
        here.sendall(data)


def until_end(way: Callable[[socket.socket, socket.socket], None], come: socket.socket, go: socket.socket) -> None:
    """Also where its other side was faster to close."""
    with contextlib.suppress(OSError):
        way(come, go)
    with contextlib.suppress(OSError):
        go.shutdown(socket.SHUT_WR)


def main() -> None:
    how, heard, target, connections = sys.argv[1:]
    way = {"copy": copy, "splice": splice}[how]
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
    print(ended.ru_utime - began.ru_utime, ended.ru_stime - began.ru_stime)


if __name__ == "__main__":
    main()
