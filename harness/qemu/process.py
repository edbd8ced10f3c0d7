"""One QEMU process: started with its QMP and character-device sockets, watched, measured, stopped. No migration here."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from harness.errors import QemuError, UserError
from harness.hosts.contract import Host
from harness.hosts.files import remove_files
from harness.hosts.local import HERE
from harness.qemu.qmp import Qmp

UNIX_PATH_BYTES = 107  # sun_path holds 108 with its closing zero
START_TIMEOUT_S = 60.0
_LOOK_S = 0.02  # for the end of a QEMU that does not come


class QemuProcess:
    """A QEMU that dies with the harness. ``name`` ("source", "destination") names its files, threads and messages.

    ``argv`` starts with the QEMU binary and says nothing of QMP or of ``chardevs``: for each name in ``chardevs`` a unix
    socket ``NAME.CHARDEV`` in the host's folder is added as ``-chardev socket,id=CHARDEV``. ``second_qmp`` adds the socket
    ``qmp_for_others``, as each serves one client.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        run_dir: Path,
        log: Path | None = None,
        host: Host = HERE,
        chardevs: Sequence[str] = (),
        second_qmp: bool = False,
    ) -> None:
        self.name = name
        self.host = host
        self.folder = host.folder(run_dir)
        self.qmp = Qmp(name, self.ended, host.clock_offset().seconds)
        self._qmp_socket = check_socket_path(self.folder / f"{name}.qmp")
        self.qmp_for_others = check_socket_path(self.folder / f"{name}.qmp2") if second_qmp else None
        self._chardevs = {chardev: check_socket_path(self.folder / f"{name}.{chardev}") for chardev in chardevs}
        self._child = host.child([*argv, *self._socket_argv()], log=log or run_dir / f"{name}.log")

    def start(self) -> None:
        """Start and connect QMP. :raises QemuError: with QEMU's last line. :raises MissingError: no such program."""
        self._unlink_sockets()
        try:
            with self.host.listener(self._qmp_socket) as listener:
                self._child.start()
                self.qmp.greet(self._called(listener), START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def _called(self, listener: socket.socket) -> socket.socket:
        """QEMU's connection, which it makes before it sets its monitor up.

        A QEMU that listens takes a connection in its main thread while another sets the monitor up, and where the two meet, it
        greets twice (7.2 and newer; seen with a debugger that holds one of them); the second greeting then stands where an answer
        should.
        """
        deadline_s = time.monotonic() + START_TIMEOUT_S
        listener.settimeout(_LOOK_S)
        while True:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if (ended := self.ended()) is not None:
                    raise QemuError(f"{self.name}: {ended}") from None
                if time.monotonic() > deadline_s:
                    raise QemuError(f"{self.name}: QEMU does not open its QMP within {START_TIMEOUT_S:g} s") from None

    def stop(self, patience_s: float = 3.0) -> None:
        """End it: ``quit``, then SIGTERM, then SIGKILL, each after ``patience_s``. Safe to call twice."""
        self._child.stop(patience_s, lambda: self._quit(patience_s))
        self.qmp.close()
        self._unlink_sockets()

    def _quit(self, patience_s: float) -> None:
        if self.qmp.alive:
            with contextlib.suppress(QemuError):  # it may be too stuck to answer: then signals follow
                self.qmp.execute("quit", timeout_s=patience_s)

    def chardev(self, name: str) -> Path:
        """The unix socket of one of ``chardevs``, on the host."""
        return self._chardevs[name]

    def chardev_path(self, name: str) -> Path:
        """A unix socket here that leads to that."""
        return self.host.near(self.chardev(name))

    @property
    def pid(self) -> int:
        """Process id. :raises QemuError: it was never started."""
        if not self._child.started:
            raise QemuError(f"{self.name}: QEMU was not started")
        return self._child.pid

    def cpu_s(self) -> float:
        """User and system time of all its threads so far; the last value once it is gone."""
        return self._child.cpu_s()

    def last_words(self) -> str:
        """The last line that QEMU wrote to its log, or the empty string."""
        return self._child.last_words()

    def ended(self, wait_s: float = 0.0) -> str | None:
        """How it ended, in words; None while it runs. Waits up to ``wait_s`` for its end."""
        if not self._child.started:
            return "QEMU was not started"
        how = self._child.end_and_words(wait_s)
        return how and f"QEMU ended: {how}"

    def _unlink_sockets(self) -> None:
        others = [self.qmp_for_others] if self.qmp_for_others is not None else []
        self.host.call(remove_files, [self._qmp_socket, *others, *self._chardevs.values()])

    def _socket_argv(self) -> list[str]:
        argv = ["-qmp", f"unix:{option_value(self._qmp_socket)}"]
        if self.qmp_for_others is not None:
            argv += ["-qmp", f"unix:{option_value(self.qmp_for_others)},server=on,wait=off"]
        for chardev, path in self._chardevs.items():
            argv += ["-chardev", f"socket,id={chardev},path={option_value(path)},server=on,wait=off"]
        return argv

    def __enter__(self) -> QemuProcess:
        """Started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stopped, whatever happened."""
        self.stop()


def option_value(path: Path | str) -> str:
    """A path as part of a QEMU option, in which a comma is doubled."""
    return str(path).replace(",", ",,")


def check_socket_path(path: Path) -> Path:
    """``path`` itself. :raises UserError: it is longer than a unix socket's path may be."""
    length = len(bytes(path))
    if length > UNIX_PATH_BYTES:
        raise UserError(
            f"{path}: a unix socket's path has at most {UNIX_PATH_BYTES} bytes and this one {length}; "
            "choose a shorter folder (TMPDIR)"
        )
    return path
