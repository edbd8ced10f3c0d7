"""Takes one migration stream from a QEMU and keeps it in a file, for guests of kind "stream". Compresses nothing.

The file appears when the stream was whole: a migration that was cancelled or failed leaves none.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import xxhash

from harness.errors import PeerError
from harness.migrator.address import Address, listen, require_private
from harness.saving import whole_file
from harness.wire.qstream import QStreamParser

__all__ = ["record_stream"]

_READ_BYTES = 1 << 20


def record_stream(
    source: Address,
    path: Path,
    *,
    timeout_s: float | None = None,
    insecure: bool = False,
    on_ready: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Wait at ``source`` for a QEMU's ``migrate``, write its stream to ``path``, and give its size, digest and pages.

    :raises UserError: the address. :raises PeerError: nobody came, or the stream broke off. :raises ResultError: the file.
    """
    require_private(source, "--from", insecure=insecure)
    try:
        with whole_file(path, "stream") as file, listen(source, "--from") as listener:
            statistics = _record_one(listener, source, file, timeout_s=timeout_s, on_ready=on_ready)
    finally:
        if source.path is not None:
            Path(source.path).unlink(missing_ok=True)
    return {"path": str(path), **statistics}


def _record_one(
    listener: socket.socket,
    address: Address,
    file: IO[bytes],
    *,
    timeout_s: float | None,
    on_ready: Callable[[str], None],
) -> dict[str, Any]:
    port = 0 if address.path is not None else listener.getsockname()[1]
    uri = Address(address.path, address.host, port)
    listener.settimeout(timeout_s)
    on_ready(f"ready: migrate the source to {uri}")
    try:
        connection, _ = listener.accept()
    except TimeoutError as exc:
        raise PeerError(f"--from {uri}: no QEMU connected within {timeout_s:g} s; migrate it to {uri}") from exc
    with connection:
        connection.settimeout(None)
        return _copy(connection, file)


def _copy(connection: socket.socket, file: IO[bytes]) -> dict[str, Any]:
    """:raises PeerError: the stream ended before its end."""
    parser, digest = QStreamParser(), xxhash.xxh3_128()
    buffer = bytearray(_READ_BYTES)
    while count := _receive(connection, buffer):
        data = memoryview(buffer)[:count]
        file.write(data)
        digest.update(data)
        parser.receive_data(data)
    parser.finish()
    size = parser.counts.stream_bytes
    if not parser.is_whole() and (parser.is_migration or not size):
        raise PeerError(f"the stream ended after {size} bytes, before its end: QEMU's `info migrate` says why")
    return {
        "stream_bytes": parser.counts.stream_bytes,
        "stream_digest": digest.hexdigest(),
        "raw_pages": parser.counts.raw_pages,
        "zero_pages": parser.counts.zero_pages,
        "opaque_reason": parser.opaque_reason,
    }


def _receive(connection: socket.socket, buffer: bytearray) -> int:
    """Bytes read; 0 at the end. A reset is an end too: what came says whether it was whole."""
    try:
        return connection.recv_into(buffer)
    except ConnectionResetError:
        return 0
