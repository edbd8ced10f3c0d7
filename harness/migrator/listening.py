"""Listening sockets: who may use their files, when a leftover is replaced, and that only our own are removed.

A QEMU with ``-incoming unix:PATH`` takes one connection, so whether a socket file is in use is never asked by connecting to it as
a guest would.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from harness.errors import UserError
from harness.migrator.address import Endpoint

__all__ = ["PRIVATE", "Access", "Listener", "listen"]

_BACKLOG = 16
"""Connections that may wait before we look: all that come are to be seen, also those that are then refused."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may connect to a socket's file; by default only the user that we are, whatever the umask says. Names or numbers."""

    mode: int = 0o600
    owner: str | None = None
    group: str | None = None


PRIVATE = Access()


class Listener:
    """A listening socket and, where it has one, its file, which goes when it is closed if it is still the same one."""

    def __init__(self, endpoint: Endpoint, bound: socket.socket) -> None:
        self.socket = bound
        address = endpoint.address
        self.address = address if address.path is not None else replace(address, port=int(bound.getsockname()[1]))
        self._file = _identity(address.path) if address.path is not None else None

    def fileno(self) -> int:
        """For select and poll: readable when somebody waits."""
        return self.socket.fileno()

    def close(self) -> None:
        """May be called twice."""
        path, self._file, file = self.address.path, None, self._file
        if path is not None and file is not None and _identity(path) == file:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
        self.socket.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def listen(endpoint: Endpoint, access: Access = PRIVATE) -> Listener:
    """Listen there. :raises UserError: it is in use or not allowed, or who should have access is not known here."""
    owner = _number(access.owner, "--socket-owner", lambda name: pwd.getpwnam(name).pw_uid)
    group = _number(access.group, "--socket-group", lambda name: grp.getgrnam(name).gr_gid)
    family, place = endpoint.places[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    listener: Listener | None = None
    try:
        if family == socket.AF_UNIX:
            _remove_leftover(place)
            os.fchmod(bound.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # its file begins with no more, in any umask
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        listener = Listener(endpoint, bound)
        if family == socket.AF_UNIX:
            _open_to(place, access.mode, owner, group)
        bound.listen(_BACKLOG)
    except BaseException as exc:
        (listener or bound).close()
        if not isinstance(exc, OSError):
            raise
        raise UserError(f"{endpoint}: cannot listen there: {exc.strerror or exc}; {_remedy(endpoint, exc)}") from exc
    return listener


def _remedy(endpoint: Endpoint, error: OSError) -> str:
    path = endpoint.address.path
    if error.errno == errno.EADDRINUSE and path is not None:
        if _identity(path) is None:
            return "there is a file that is no socket; choose another path, or move it away"
        if _is_leftover(path):
            return "another user's socket was left there, and nobody has it any more; remove it, or choose another path"
        return f"`lsof {path}` says by whom; choose another path, or end that process"
    if error.errno == errno.EADDRINUSE:
        return f"`ss -tlnp sport = {endpoint.address.port}` says by whom; choose another port, or end that process"
    if isinstance(error, PermissionError):
        return "choose a place that you may write to, or run this as a user who may"
    return "choose another place"


def _number(name: str | None, option: str, look_up: Callable[[str], int]) -> int:
    """A user's or group's number; -1, which changes nothing, for None."""
    if name is None:
        return -1
    if name.isdecimal():
        return int(name)
    try:
        return look_up(name)
    except KeyError as exc:
        raise UserError(f"{option} {name}: not known on this machine; give a name of `getent`, or a number") from exc


def _open_to(path: str, mode: int, owner: int, group: int) -> None:
    """By descriptor, so that a link put in its place is not followed."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        own = f"/proc/self/fd/{descriptor}"
        os.chmod(own, mode)  # noqa: PTH101
        os.chown(own, owner, group)
    except PermissionError as exc:
        raise UserError(
            f"--socket-owner, --socket-group: {exc.strerror}; only root may give {path} to another user, or to a group that it "
            "is not in"
        ) from exc
    finally:
        os.close(descriptor)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _remove_leftover(path: str) -> None:
    """Only a socket file that our user made and that no socket has any more; all else stays, and bind says so.

    It is set aside first: one that was bound there since we looked is put back.
    """
    if not _is_leftover(path) or os.lstat(path).st_uid != os.geteuid():
        return
    aside = f"{os.path.dirname(path) or '.'}/.{uuid.uuid4().hex[:8]}"  # noqa: PTH120
    os.rename(path, aside)  # noqa: PTH104
    if _is_leftover(aside):
        os.unlink(aside)  # noqa: PTH108
    else:
        os.rename(aside, path)  # noqa: PTH104


def _is_leftover(path: str) -> bool:
    """Whether a socket file belongs to no socket. A datagram socket cannot be connected to a listening one: the kernel says that
    the types differ, and the listener hears nothing of it. It says "refused" where there is no socket at all. By descriptor: the
    path may be longer than a socket's."""
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        file = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        stack.callback(os.close, file)
        looker = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        if stat.S_ISSOCK(os.fstat(file).st_mode):
            try:
                looker.connect(f"/proc/self/fd/{file}")
            except ConnectionRefusedError:
                return True
    return False
