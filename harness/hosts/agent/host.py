"""A host behind ssh: its processes, files and sockets, as those who run a migration use any host's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from harness.errors import PeerError
from harness.hosts.agent.asked import free_port, make_folder
from harness.hosts.agent.brought import bring
from harness.hosts.agent.calls import name_of, packed, unpacked
from harness.hosts.agent.clock import best_of
from harness.hosts.agent.connection import Connection
from harness.hosts.agent.messages import Call, Close, Connect, Listen, Signal, Spent, Start
from harness.hosts.claims import Claim
from harness.hosts.contract import ClockOffset, Given, Host, Told
from harness.hosts.ear import Ear, FarEar
from harness.hosts.rundir import scratch_base
from harness.hosts.watched import Watched

_FOLDER_BYTES = 128 << 20
"""What a run needs there: pieces of the guest's memory, and its logs."""
_MOST_LOG_BYTES = 64 << 20
_LEFT_OUT = b"\npageferry: what it wrote after this is left out\n"


class AgentHost(Host):
    """Connected when it is made. ``address``: in the network that is measured. ``ports``: the first and the last to listen on.

    :raises PageferryError: it is not reached, or has no pageferry of this version; see ``Connection``.
    """

    look_every_s = 0.25

    def __init__(self, name: str, argv: Sequence[str], address: str, ports: tuple[int, int] = (0, 0)) -> None:
        self.name, self.address, self.ports = name, address, ports
        self.connection = Connection(name, argv)
        self._here = Claim(scratch_base())  # for the near ends of its sockets
        self._near: list[socket.socket] = []
        try:
            self._here.take()
            self._folder = self.call(make_folder, _FOLDER_BYTES)
            self._clock = best_of(self.connection.ping_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """The agent ends, and all that it started."""
        self.connection.close()
        for listener in self._near:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        self._here.release()

    def child(self, argv: Sequence[str], *, log: Path) -> Watched:
        """The agent's: it ends with the connection."""
        return _Child(self.connection, [*self.prefix, *argv], log)

    def program(self, *arguments: str) -> list[str]:
        """As the agent itself was started."""
        return [*self.connection.hello.program, *arguments]

    def folder(self, run_dir: Path) -> Path:  # noqa: ARG002 - it sees none of ours
        """Made for the connection."""
        return self._folder

    def bring(self, path: Path) -> Path:
        """Copied, unless a file of the same bytes is there already."""
        return bring(self.call, path)

    def call(self, function: Callable[[*Given], Told], *arguments: *Given) -> Told:
        """By the agent."""
        given, payload = packed(arguments)
        value, answer = self.connection.request(Call(function=name_of(function), arguments=given), payload)
        told: Told = unpacked(function, value, answer)
        return told

    def listener(self, path: Path) -> socket.socket:
        """Bound here; the agent passes on who connects there."""
        number, here = self._near_path()
        listener = _Listener(lambda: self._leave(number))
        listener.bind(str(here))
        listener.listen(1)
        self.connection.listeners[number] = lambda: _connected(here)
        try:
            self.connection.request(Listen(listener=number, path=str(path)))
        except BaseException:
            listener.close()
            raise
        return listener

    def near(self, path: Path) -> Path:
        """Bound here; each connection is one there."""
        _, here = self._near_path()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(here))
        listener.listen(4)
        self._near.append(listener)
        threading.Thread(target=self._pass_on, args=(listener, path), name=f"near-{here.name}", daemon=True).start()
        return here

    def ear(self, path: Path) -> Ear:
        """The agent listens, and stamps what it hears."""
        end, theirs = socket.socketpair()
        try:
            self._connect(theirs, path, stamped=True)
        except BaseException:
            end.close()
            raise
        return FarEar(end, self._clock.seconds, self.name)

    def port(self) -> int:
        """One of its ports that is free."""
        return self.call(free_port, self.address, *self.ports) if self.ports != (0, 0) else 0

    def clock_offset(self) -> ClockOffset:
        """As at the beginning; the error has in it what the clocks have drifted apart since."""
        now, first = best_of(self.connection.ping_s), self._clock
        drift_s = abs(now.seconds - first.seconds)
        return ClockOffset(first.seconds, max(first.error_s, drift_s + now.error_s))

    def _near_path(self) -> tuple[int, Path]:
        number = next(self.connection.numbers)
        return number, self._here.path / f"{number}"

    def _leave(self, number: int) -> None:
        self.connection.listeners.pop(number, None)
        self.connection.tell(Close(listener=number))

    def _pass_on(self, listener: socket.socket, path: Path) -> None:
        with listener, contextlib.suppress(OSError, PeerError):
            while self.connection.broken is None:
                end, _ = listener.accept()
                with contextlib.suppress(OSError):  # nobody listens there: this end is told by its closing
                    self._connect(end, path)

    def _connect(self, end: socket.socket, path: Path, *, stamped: bool = False) -> None:
        """To the socket there; ``end`` is the channel's. :raises OSError: nobody listens."""
        channel = next(self.connection.numbers)
        self.connection.channels.hold(channel, end)
        try:
            self.connection.request(Connect(channel=channel, path=str(path), stamped=stamped))
        except BaseException:
            self.connection.channels.close(channel)
            raise
        self.connection.channels.begin(channel)


class _Listener(socket.socket):
    """Tells when it is closed."""

    def __init__(self, closed: Callable[[], None]) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._tell = closed

    def close(self) -> None:
        if self.fileno() >= 0:
            super().close()
            self._tell()


class _Child(Watched):
    """A process there. What it writes is put into the log here as it comes."""

    def __init__(self, connection: Connection, argv: Sequence[str], log: Path) -> None:
        super().__init__(log)
        self._connection, self._argv = connection, list(argv)
        self._number = next(connection.numbers)
        self._pid: int | None = None
        self._status: int | None = None
        self._cpu_s = 0.0
        self._file = -1
        self._log_bytes = 0

    def start(self) -> Self:
        """:raises MissingError: the program is not there."""
        assert self._log is not None  # noqa: S101 - for the type checker
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._connection.children[self._number] = self
        try:
            self._pid = self._connection.request(Start(child=self._number, argv=self._argv))[0]
        except BaseException:
            self._connection.children.pop(self._number, None)
            raise
        return self

    @property
    def started(self) -> bool:
        """Whether it was."""
        return self._pid is not None

    @property
    def pid(self) -> int:
        """There."""
        assert self._pid is not None, "start() comes first"  # noqa: S101
        return self._pid

    @property
    def status(self) -> int | None:
        """Of one whose connection broke: killed, as it was."""
        return self._status

    def cpu_s(self) -> float:
        """Asked of the agent while it runs."""
        if self.started and self._status is None:
            with contextlib.suppress(PeerError):
                self._cpu_s = max(self._cpu_s, self._connection.request(Spent(child=self._number))[0])
        return self._cpu_s

    def signal(self, number: signal.Signals) -> None:
        """By the agent."""
        self._connection.tell(Signal(child=self._number, signal=int(number)))

    def end_input(self) -> bool:
        """It has none."""
        return False

    def take(self, data: bytes) -> None:
        """It wrote that. One that writes without end fills no disk here."""
        if (room := _MOST_LOG_BYTES - self._log_bytes) >= 0:
            os.write(self._file, data if len(data) <= room else data[:room] + _LEFT_OUT)
        self._log_bytes += len(data)

    def end(self, status: int, cpu_s: float) -> None:
        """It ended."""
        os.close(self._file)
        self._cpu_s = max(self._cpu_s, cpu_s)
        self._status = status


def _connected(path: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.connect(str(path))
    return end
