"""Takes one migration stream from a QEMU and keeps it in a file, for guests of kind "stream". Compresses nothing.

The file appears when the stream was whole: a migration that was cancelled or failed leaves none.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import xxhash

from harness.errors import PeerError
from harness.migrator.entrance import Entrance
from harness.migrator.transport.contract import Access
from harness.migrator.transport.registry import endpoint_for_qemu
from harness.migrator.transport.sockets import SocketListener
from harness.results.saving import whole_file
from harness.wire.qemu.stream import QStreamParser

__all__ = ["Recording", "record_stream"]

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Recording:
    """What is in the file. ``opaque_reason``: why its pages are not known."""

    stream_bytes: int
    stream_digest: str
    raw_pages: int
    zero_pages: int
    opaque_reason: str | None


def record_stream(
    source: str,
    path: Path,
    *,
    timeout_s: float | None = None,
    insecure: bool = False,
    access: Access | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Wait at ``source`` for a QEMU's ``migrate``, write its stream to ``path``, and say what it is.

    :raises UserError: the address. :raises PeerError: nobody came, or the stream broke off. :raises QemuError: it came with more
        connections than one. :raises ResultError: the file.
    """
    endpoint = endpoint_for_qemu(source, "--from", insecure=insecure)
    with whole_file(path, "stream") as file, endpoint.listen(access) as listener:
        return _record_one(listener, file, timeout_s=timeout_s, say=say)


def _record_one(
    listener: SocketListener, file: IO[bytes], *, timeout_s: float | None, say: Callable[[str], None]
) -> Recording:
    uri, entrance = listener.address, Entrance(listener, say)
    say(f"ready: migrate the source to {uri}")
    try:
        connection = entrance.await_migration(timeout_s)
    except TimeoutError as exc:
        raise PeerError(f"--from {uri}: no QEMU connected within {timeout_s:g} s; migrate it to {uri}") from exc
    assert connection is not None  # noqa: S101 - for the type checker: nothing else was waited for
    with connection:
        return _copy(connection, entrance, file)


def _copy(connection: socket.socket, entrance: Entrance, file: IO[bytes]) -> Recording:
    """:raises PeerError: the stream ended before its end."""
    parser, digest = QStreamParser(), xxhash.xxh3_128()
    buffer = bytearray(_READ_BYTES)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    entrance.attend(poll)
    while count := _receive(connection, entrance, poll, buffer):
        entrance.look(parser.counts.raw_pages + parser.counts.zero_pages)
        data = memoryview(buffer)[:count]
        file.write(data)
        digest.update(data)
        parser.receive_data(data)
    parser.finish()
    size = parser.counts.stream_bytes
    if not parser.is_whole() and (parser.is_migration or not size):
        raise PeerError(f"the stream ended after {size} bytes, before its end: QEMU's `info migrate` says why")
    counts = parser.counts
    return Recording(size, digest.hexdigest(), counts.raw_pages, counts.zero_pages, parser.opaque_reason)


def _receive(connection: socket.socket, entrance: Entrance, poll: select.poll, buffer: bytearray) -> int:
    """Bytes read; 0 at the end. A reset is an end too: what came says whether it was whole."""
    while connection.fileno() not in [descriptor for descriptor, _ in poll.poll()]:
        entrance.look(0)
    try:
        return connection.recv_into(buffer)
    except ConnectionResetError:
        return 0
