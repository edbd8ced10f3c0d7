"""TLS 1.3 over any transport: both ends show a certificate, and each checks the other's. Knows no sockets.

OpenSSL works on memory alone (``ssl.MemoryBIO``): one lock per link guards it, for OpenSSL does not bear two threads at one link
(openssl-threads(7)), and no thread waits for the network with that lock in hand. What travels is encrypted records; we look at
their lengths, so as to wait for no more than must come and to hand on whole ones.

A session cannot be played again: each has keys of its own, there are no tickets to resume one with, and data before the end of the
handshake, which can be repeated (RFC 8446, 8), is what ``ssl`` never takes.
"""

from __future__ import annotations

import contextlib
import errno
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Self

from harness.errors import UserError
from harness.migrator.transport import tls_files, tls_words
from harness.migrator.transport.contract import (
    Access,
    Endpoint,
    Listener,
    PathLook,
    RefusedError,
    Secured,
    Tls,
    Transport,
)

_HEAD = struct.Struct("!BBxH")
_HEAD_BYTES = _HEAD.size
_KINDS, _VERSION = range(20, 24), 3
"""How a record begins: what it holds, and the major version (RFC 8446, 5.1)."""

_MOST_RECORD_BYTES = _HEAD_BYTES + (16 << 10) + 256
_RECORD_DATA_BYTES = 16 << 10
_RECORD_COST_BYTES = 22
"""Of a record of TLS 1.3: its head, the tag, and the byte that says what it holds (RFC 8446, 5.2)."""

_ROOM_BYTES = 256 << 10
"""Of ciphertext that is read at once."""

_PIECE_BYTES = 128 << 10
"""Encrypted at once, and sent while it is in the processor's cache: 0.74, 0.65 and 0.63 CPU s per GiB in pieces of 256, 128 and
64 KiB over memory; smaller ones cost the kernel more (tests/benchmarks/tls.py, a busy 2-core Intel Xeon, 2026-11-28, n=900)."""

_ALERT = bytes.fromhex("15 0303 0002 0246")
"""Fatal, protocol_version (RFC 8446, 6): to a peer that does not speak TLS, which knows it by how it begins."""

_LOOK_S = 5.0
"""For so long a record that has begun is waited for before the peer's silence is worth a look."""


class TlsTransport(Transport):
    """Over ``inner``, whose bytes nobody else may touch. As a client it checks that the other end's certificate is for ``name``."""

    def __init__(self, inner: Transport, context: ssl.SSLContext, *, name: str | None, server_side: bool) -> None:
        self._inner = inner
        self._came, self._leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._came, self._leaves, server_side=server_side, server_hostname=None if server_side else name
        )
        self._name = name
        self._lock = threading.Lock()
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._filled = 0
        self._began_s = time.monotonic()
        self._secured: Secured | None = None
        self._has_ended = False
        self.is_open = False

    def open(self, timeout_s: float) -> bool:
        """The handshake, which is one round trip. Only who receives may be here."""
        deadline_s = time.monotonic() + timeout_s
        while not self.is_open:
            try:
                self._ssl.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(timeout_s)
                count = self._fetch(_ROOM_BYTES, max(0.0, deadline_s - time.monotonic()))
                if count is None:
                    return False
                if count == 0:
                    raise ConnectionResetError(errno.ECONNRESET, "it closed the connection in the handshake") from None
            except ssl.SSLError as exc:
                raise self._refusal(exc) from exc
            else:
                self._flush(timeout_s)
                self._opened()
        return True

    def _opened(self) -> None:
        names, cipher = tls_files.names_in(self._ssl.getpeercert()), self._ssl.cipher()
        self._secured = Secured(
            str(self._ssl.version()), cipher[0] if cipher else "none", time.monotonic() - self._began_s, names
        )
        self.is_open = True
        if self._ssl.server_side and self._name is not None and not tls_files.is_named(self._name, names):
            raise RefusedError(tls_words.wrong_name(self._name, names))

    def _refusal(self, error: ssl.SSLError) -> RefusedError:
        """With what OpenSSL says of it to the other end, as far as that can still be told."""
        with contextlib.suppress(OSError):
            if error.reason == "WRONG_VERSION_NUMBER":  # OpenSSL says nothing then
                self._inner.send_parts([_ALERT], 0.0)
            self._flush(0.0)
        return RefusedError(tls_words.why_refused(error, self._name))

    def _flush(self, timeout_s: float | None) -> None:
        with self._lock:
            data = self._leaves.read()
        if data:
            self._inner.send_parts([data], timeout_s)

    def secured(self) -> Secured | None:
        """None: not open yet."""
        return self._secured

    def send_parts(self, parts: Sequence[bytes | memoryview], timeout_s: float | None = None) -> int:
        """Encrypted piece by piece: a piece is still in the processor's cache when it is sent. Says the bytes of ``parts``."""
        if not self.is_open:
            raise OSError(errno.ENOTCONN, "the handshake is not over")
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        views = [memoryview(part).cast("B") for part in parts]
        for view in views:
            for at in range(0, len(view), _PIECE_BYTES):
                with self._lock:
                    self._ssl.write(view[at : at + _PIECE_BYTES])
                    waiting = self._leaves.pending
                if waiting >= _PIECE_BYTES:
                    self._flush(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        self._flush(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        return sum(map(len, views))

    def recv_into(self, buffer: memoryview, timeout_s: float | None = None) -> int | None:
        """After the handshake, if that is still to be done. An end without TLS's own farewell is an end too: what must be complete
        says so itself, inside."""
        deadline_s = time.monotonic() + (_LOOK_S if timeout_s is None else timeout_s)
        if not self.open(max(0.0, deadline_s - time.monotonic())):
            return None
        while (count := self._decrypted(buffer)) == 0 and not self._has_ended:
            left_s = None if timeout_s is None else max(0.0, deadline_s - time.monotonic())
            came = self._fetch(self._due_bytes(len(buffer)), left_s)
            if not came:
                return came
        return count

    def _decrypted(self, buffer: memoryview) -> int:
        """Bytes of whole records that are here, up to a full buffer. 0: there is none."""
        count = 0
        try:
            with self._lock, contextlib.suppress(ssl.SSLWantReadError):  # a record without data
                room_bytes, came = len(buffer), self._came
                while count < room_bytes and (came.pending or self._ssl.pending()):
                    count += int(self._ssl.read(room_bytes - count, buffer[count:]))
        except ssl.SSLZeroReturnError:
            self._has_ended = True
        except ssl.SSLError as exc:
            raise self._refusal(exc) from exc
        return count

    def _fetch(self, due_bytes: int, timeout_s: float | None) -> int | None:
        """More of what must come; whole records go to OpenSSL. As ``recv_into``."""
        end = min(self._filled + due_bytes, _ROOM_BYTES)
        count = self._inner.recv_into(self._room[self._filled : end], timeout_s)
        if count:
            self._filled += count
            whole = self._whole_bytes()
            with self._lock:
                self._came.write(self._room[:whole])
            rest = self._filled - whole
            self._room[:rest] = self._room[whole : self._filled]
            self._filled = rest
        return count

    def _whole_bytes(self) -> int:
        """Of the records that are here from end to end; of all that is here where it is no record, for OpenSSL to say so."""
        at = 0
        while at + _HEAD_BYTES <= self._filled:
            kind, version, record = _record_at(self._room, at)
            if kind not in _KINDS or version != _VERSION or record > _MOST_RECORD_BYTES:
                return self._filled
            if at + record > self._filled:
                break
            at += record
        return at

    def _due_bytes(self, count: int) -> int:
        """The least that must come before ``count`` more bytes can be read: the rest of a record that has begun, and what does not
        fit into it."""
        if self._filled < _HEAD_BYTES:
            return count + -(-count // _RECORD_DATA_BYTES) * _RECORD_COST_BYTES - self._filled
        record = _record_at(self._room, 0)[2]
        beyond = max(0, count - (record - _RECORD_COST_BYTES))
        return record - self._filled + beyond + -(-beyond // _RECORD_DATA_BYTES) * _RECORD_COST_BYTES

    def fileno(self) -> int:
        """As below."""
        return self._inner.fileno()

    def holds_some(self) -> bool:
        """Whole records, or the rest of one."""
        with self._lock:
            return bool(self._came.pending or self._ssl.pending())

    def has_hung_up(self) -> bool:
        """As below."""
        return self._inner.has_hung_up()

    def peer_silence_s(self) -> float:
        """As below."""
        return self._inner.peer_silence_s()

    def unsent_bytes(self) -> int | None:
        """As below: encrypted."""
        return self._inner.unsent_bytes()

    def path(self) -> PathLook | None:
        """As below."""
        return self._inner.path()

    def close(self) -> None:
        """As below, and without TLS's farewell, for which one would have to wait until the other thread has sent."""
        self._inner.close()


def _record_at(room: memoryview, at: int) -> tuple[int, int, int]:
    kind, version, rest_bytes = _HEAD.unpack_from(room, at)
    return kind, version, _HEAD_BYTES + rest_bytes


class _TlsListener(Listener):
    def __init__(self, inner: Listener, context: ssl.SSLContext, name: str | None) -> None:
        self.address = inner.address
        self._inner, self._context, self._name = inner, context, name

    def fileno(self) -> int:
        return self._inner.fileno()

    def accept(self) -> Transport | None:
        found = self._inner.accept()
        return None if found is None else TlsTransport(found, self._context, name=self._name, server_side=True)

    def close(self) -> None:
        self._inner.close()


class TlsEndpoint(Endpoint):
    """``place``, encrypted. Who dials has the client's certificate, who listens the server's."""

    def __init__(self, place: Endpoint, tls: Tls) -> None:
        super().__init__(place.text, place.option)
        self._place = place
        self._tls = tls

    @classmethod
    def at(cls, text: str, option: str, *, insecure: bool) -> Self:
        """There is none by an address alone."""
        raise NotImplementedError

    @property
    def host(self) -> str | None:
        """Of its place."""
        return self._place.host

    @cached_property
    def _client(self) -> ssl.SSLContext:
        return tls_files.context_of(self._tls.folder, server_side=False)

    def dial(self, timeout_s: float) -> Transport:
        """With the handshake. :raises UserError: the folder. :raises RefusedError: as ``Transport.open``."""
        name = self._tls.peer or self.host
        if name is None:
            raise UserError(f"{self}: a certificate names hosts, and this has none; give --tls-peer NAME")
        context = self._client
        link = TlsTransport(self._place.dial(timeout_s), context, name=name, server_side=False)
        with contextlib.ExitStack() as undo:
            undo.callback(link.close)
            if not link.open(timeout_s):
                raise TimeoutError(errno.ETIMEDOUT, f"no TLS handshake within {timeout_s:g} s")
            undo.pop_all()
        return link

    def listen(self, access: Access | None = None) -> Listener:
        """:raises UserError: the folder, or as its place's."""
        context = tls_files.context_of(self._tls.folder, server_side=True)
        return _TlsListener(self._place.listen(access), context, self._tls.peer)

    def why_unreachable(self, error: OSError, what: str) -> str:
        """As its place says."""
        return self._place.why_unreachable(error, what)
