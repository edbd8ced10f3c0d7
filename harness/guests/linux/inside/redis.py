"""A client of the guest's Redis: each operation reads a key, and every second one writes it back with a line more or changed."""

from __future__ import annotations

import socket

from harness.guests.linux.inside.work import Work


class _Redis:
    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect("/run/redis.sock")
        self._answers = self._socket.makefile("rb")

    def ask(self, *words: bytes) -> bytes:
        """One command, and its answer. :raises RuntimeError: it refuses; its own words."""
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)]
        self._socket.sendall(b"".join(parts))
        head = self._answers.readline().rstrip()
        if head.startswith(b"-"):
            raise RuntimeError(head.decode())
        if not head.startswith(b"$"):
            return head[1:]
        return self._answers.read(int(head[1:]) + 2)[:-2]


def main() -> None:
    """Until the guest is switched off."""
    work, redis = Work(), _Redis()
    keys = int(redis.ask(b"DBSIZE"))
    work.ready()
    for turn in work.turns():
        key = b"package:%d" % work.pick(keys)
        value = redis.ask(b"GET", key)
        if turn % 2:
            described = value.partition(b"\nVisited: ")[0]
            redis.ask(b"SET", key, b"%s\nVisited: %d %016x" % (described, turn, work.random.getrandbits(64)))
