"""Reads an interface's queue counters inside a network namespace: one small netlink request, no process started.

The queue's counter is the honest one: it charges every segment of a large (GSO) packet with its headers, as a wire
would, where the interface's own ``tx_bytes`` counts such a packet's headers once (0.1 % instead of 4.6 % above the
payload at MTU 1500, changing with load). Knows nothing of links.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

from harness.errors import PeerError

_Made = TypeVar("_Made")
_CLONE_NEWNET = 0x40000000
_NETLINK_ROUTE = 0
_RTM_NEWQDISC, _RTM_GETQDISC, _NLMSG_ERROR = 36, 38, 2
_NLM_F_REQUEST, _NLM_F_ECHO = 1, 8  # without echo the kernel answers only those who listen to all changes
_TC_H_ROOT = 0xFFFFFFFF
_TCA_STATS2, _TCA_STATS_BASIC = 7, 1
_HEADER = struct.Struct("=IHHII")
_TCMSG = struct.Struct("=BBHiIII")
_ATTRIBUTE = struct.Struct("=HH")


class QueueCounter:
    """Bytes that left through an interface's root queue, in the namespace behind ``namespace`` (a path)."""

    def __init__(self, namespace: Path, interface: str) -> None:
        self._place = f"{namespace.name}: {interface}"
        try:
            self._socket, index = in_namespace(namespace, lambda: _request_socket(interface))
        except OSError as exc:
            raise PeerError(f"link {self._place}: cannot open its counters: {exc.strerror}") from exc
        self._socket.settimeout(1.0)
        body = _TCMSG.pack(socket.AF_UNSPEC, 0, 0, index, 0, _TC_H_ROOT, 0)
        self._request = _HEADER.pack(_HEADER.size + len(body), _RTM_GETQDISC, _NLM_F_REQUEST | _NLM_F_ECHO, 0, 0) + body

    def read_bytes(self) -> int:
        """Bytes since the queue was made. :raises PeerError: the interface or its queue has gone."""
        try:
            self._socket.send(self._request)
            reply = self._socket.recv(8192)
        except OSError as exc:
            raise PeerError(f"link {self._place}: cannot read its counters: {exc.strerror}") from exc
        kind = _HEADER.unpack_from(reply)[1]
        if kind != _RTM_NEWQDISC:
            number = -struct.unpack_from("=i", reply, _HEADER.size)[0] if kind == _NLMSG_ERROR else 0
            raise PeerError(f"link {self._place}: cannot read its counters: {os.strerror(number)}")
        for name, value in _attributes(reply[_HEADER.size + _TCMSG.size :]):
            if name == _TCA_STATS2:
                return next(
                    int.from_bytes(v[:8], sys.byteorder) for n, v in _attributes(value) if n == _TCA_STATS_BASIC
                )
        raise PeerError(f"link {self._place}: the kernel's answer has no counters")

    def close(self) -> None:
        """Give the socket back; the namespace can go."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Nothing to do: the constructor opened it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, name = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield name & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _request_socket(interface: str) -> tuple[socket.socket, int]:
    """And the interface's number where we are."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE), socket.if_nametoindex(interface)


def in_namespace(namespace: Path, act: Callable[[], _Made]) -> _Made:
    """What ``act`` gives in ``namespace``.

    Sockets and interfaces belong to the namespace of the thread that opens them, so a short-lived thread goes there and the
    caller's never leaves its own. :raises OSError: ``act`` did, or there is no way in.
    """
    outcome: list[_Made | OSError] = []

    def work() -> None:
        try:
            _enter(namespace)
            outcome.append(act())
        except OSError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=work, name="pageferry-setns")
    thread.start()
    thread.join()
    result = outcome[0]
    if isinstance(result, OSError):
        raise result
    return result


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
