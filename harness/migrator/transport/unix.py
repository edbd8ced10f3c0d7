"""Unix sockets: ``unix:PATH``. Who may use their files, when a leftover is replaced, and that only our own are removed.

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
from typing import Self

from harness.errors import UserError
from harness.migrator.transport.contract import Access
from harness.migrator.transport.sockets import SocketEndpoint, SocketListener, SocketTransport

UNIX_PATH_MAX = 107


class UnixEndpoint(SocketEndpoint):
    """``path``: its file's."""

    @classmethod
    def at(cls, text: str, option: str, *, insecure: bool) -> Self:  # noqa: ARG003 - it never leaves this machine
        """Looks at nothing."""
        path = text.partition(":")[2]
        if not path:
            raise UserError(f"{option} {text}: write unix:PATH or tcp:HOST:PORT")
        if len(os.fsencode(path)) > UNIX_PATH_MAX:
            raise UserError(
                f"{option} {text}: a socket path has at most {UNIX_PATH_MAX} bytes, this one {len(os.fsencode(path))}; "
                "choose a shorter folder"
            )
        return cls(text, option, [(socket.AF_UNIX, path)])

    @property
    def path(self) -> str:
        """Of the socket's file."""
        return str(self.places[0][1])

    def _bind(self, bound: socket.socket, access: Access | None) -> SocketListener:
        access = access or Access()
        owner = _number(access.owner, "--socket-owner", lambda name: pwd.getpwnam(name).pw_uid)
        group = _number(access.group, "--socket-group", lambda name: grp.getgrnam(name).gr_gid)
        _remove_leftover(self.path)
        os.fchmod(bound.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # its file begins with no more, in any umask
        bound.bind(self.path)
        listener = _UnixListener(bound, self.text, self.transport, self.path)
        try:
            _open_to(self.path, access.mode, owner, group)
        except BaseException:
            listener.close()
            raise
        return listener

    def why_unreachable(self, error: OSError, what: str) -> str:
        """Where a socket may not be used, its owner and mode are to be looked at instead."""
        if isinstance(error, PermissionError):
            what = (
                "run this as the user that owns the socket, or as root, or have its owner allow you to write to it "
                f"(`ls -l {self.path}`, and each folder above)"
            )
        return super().why_unreachable(error, what)

    def _remedy(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            if _identity(self.path) is None:
                return "there is a file that is no socket; choose another path, or move it away"
            if _is_leftover(self.path):
                return "another user's socket was left there, and nobody has it any more; remove it, or choose another path"
            return f"`lsof {self.path}` says by whom; choose another path, or end that process"
        if isinstance(error, PermissionError):
            return "choose a place that you may write to, or run this as a user who may"
        return "choose another place"


class _UnixListener(SocketListener):
    """Its file goes when it is closed, if it is still the same one."""

    def __init__(self, bound: socket.socket, address: str, transport: type[SocketTransport], path: str) -> None:
        super().__init__(bound, address, transport)
        self._path = path
        self._file = _identity(path)

    def close(self) -> None:
        """And remove the file."""
        file, self._file = self._file, None
        if file is not None and _identity(self._path) == file:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108
        super().close()


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
