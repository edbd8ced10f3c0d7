"""Stands between a QEMU's QMP socket and who uses it, and cuts the connection once QEMU has said something."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path


class CutQmp:
    """``path`` stands for ``target``, one client at a time. The first answer with ``words`` in it is never delivered; a client that
    comes ``again`` after that has a connection for good, or nobody has one."""

    def __init__(self, path: Path, target: Path, words: bytes, *, again: bool) -> None:
        self.path, self._target, self._words, self._again = path, target, words, again
        self._listener = socket.socket(socket.AF_UNIX)
        self._ends: list[socket.socket] = []

    def __enter__(self) -> CutQmp:
        self._listener.bind(str(self.path))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        words: bytes | None = self._words
        while words is not None or self._again:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as qemu:
                qemu.connect(str(self._target))
                self._ends = [client, qemu]
                back = threading.Thread(target=_carry, args=(_chunks(client), client, qemu), daemon=True)
                back.start()
                with qemu.makefile("rb") as lines:
                    _carry(lines, qemu, client, words)
                back.join()
            words = None
        self._listener.close()
        self.path.unlink()


def _chunks(source: socket.socket) -> Iterator[bytes]:
    while data := source.recv(1 << 16):
        yield data


def _carry(parts: Iterable[bytes], source: socket.socket, target: socket.socket, words: bytes | None = None) -> None:
    """What ``source`` says, part by part, until either end is gone or ``words`` are said; then both are."""
    with contextlib.suppress(OSError):
        for part in parts:
            if words is not None and words in part:
                break
            target.sendall(part)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
