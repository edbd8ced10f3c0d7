"""Who has this host now: one at a time, until its agent ends, however it does. Runs on that host.

The lease is an abstract unix socket of one name: the kernel gives it to one process, frees it with that process, and asks no folder
and no rights for it. Whoever finds it taken connects, and is told who has it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import socket
import threading
import time

from harness.errors import UserError

_NAME = b"\0pageferry: who has this host"
_PATIENCE_S = 5.0
_AGAIN_S = 0.1
_MOST_BYTES = 4096


def hold_host(who: str, wait_s: float) -> None:
    """For ``who``, until this process ends. :raises UserError: somebody has it for so long; says who, and since when."""
    deadline_s = time.monotonic() + wait_s
    while (lease := _taken()) is None:
        holder = _holder()
        if time.monotonic() > deadline_s:
            raise UserError(
                f"in use by {holder or 'somebody who does not say who'}: wait for its end, or take another pair"
            )
        time.sleep(_AGAIN_S)
    words = f"{who} since {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC".encode()[:_MOST_BYTES]
    threading.Thread(target=_tell, args=(lease, words), name="lease", daemon=True).start()


def _taken() -> socket.socket | None:
    lease = socket.socket(socket.AF_UNIX)
    try:
        lease.bind(_NAME)
        lease.listen()
    except OSError as exc:
        lease.close()
        if exc.errno == errno.EADDRINUSE:
            return None
        raise
    return lease


def _holder() -> str:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(_PATIENCE_S)
        asked.connect(_NAME)
        return asked.recv(_MOST_BYTES).decode(errors="replace")
    return ""


def _tell(lease: socket.socket, words: bytes) -> None:
    while True:
        asking, _ = lease.accept()
        with asking, contextlib.suppress(OSError):
            asking.sendall(words)
