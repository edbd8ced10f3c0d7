"""`send` and `receive` as a host's service: one migration after another, and a word to the service manager once they are ready."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Self

import click

from harness.commands.options import announce
from harness.errors import PageferryError, UserError
from harness.terminal import one_line

_PAUSE_S = 1.0
"""Between two migrations: for the other half to be ready again, and so that what fails at once is not tried without end."""

Say = Callable[[str], None]


class Manager:
    """Whom systemd names in NOTIFY_SOCKET (sd_notify(3)), if it started us; else it hears nothing. Made before rights are given up,
    for an abstract socket cannot be connected to behind that. A context manager. :raises UserError: that socket is not one."""

    def __init__(self) -> None:
        name = os.environ.get("NOTIFY_SOCKET")
        self._socket = None if not name else _connected(name)

    def tell(self, state: str) -> None:
        """As sd_notify(3) has it. One that has gone, or is too slow to take it, is none of our migration's concern."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(state.encode(), socket.MSG_DONTWAIT)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """It hears no more."""
        if self._socket is not None:
            self._socket.close()


def _connected(name: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        manager.connect(f"\0{name[1:]}" if name.startswith("@") else name)
    except OSError as exc:
        manager.close()
        why = f"{exc.strerror or exc}; unset it where no service manager listens there"
        raise UserError(f"NOTIFY_SOCKET {name}: {why}") from exc
    return manager


def keep_option(command: Callable[..., None]) -> Callable[..., None]:
    """``--keep``."""
    return click.option(
        "--keep", is_flag=True, help="Serve one migration after another, also after one that failed; see below."
    )(command)


def serve(manager: Manager, carry: Callable[[Say], None], *, keep: bool) -> None:
    """``carry`` one migration, or with ``keep`` one after another until a signal ends us. What fails before we were ever ready to
    carry one ends us, too: settings are wrong, or something is not here."""
    ready = False

    def say(line: str) -> None:
        nonlocal ready
        announce(line)
        first = line.startswith("ready:") and not ready
        manager.tell(("READY=1\n" if first else "") + f"STATUS={one_line(line)}")
        ready = ready or first

    while True:
        try:
            carry(say)
        except PageferryError as exc:
            if not (keep and ready):
                raise
            say(f"failed: {exc}; waiting for the next migration")
        if not keep:
            return
        time.sleep(_PAUSE_S)
