"""One QEMU process: started with its QMP and character-device sockets, watched, measured, stopped. No migration here."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil

from harness.errors import QemuError, UserError
from harness.hosts.spawn import spawn
from harness.qemu.qmp import Qmp

__all__ = ["QemuProcess", "check_socket_path", "option_value"]

UNIX_PATH_BYTES = 107  # sun_path holds 108 with its closing zero
START_TIMEOUT_S = 20.0


class QemuProcess:
    """A QEMU that dies with the harness. ``name`` ("source", "destination") names its files, threads and messages.

    ``argv`` starts with the QEMU binary and says nothing of QMP or of ``chardevs``: for each name in ``chardevs`` a unix
    socket ``run_dir/NAME.CHARDEV`` is added as ``-chardev socket,id=CHARDEV``. ``prefix`` execs the rest. ``second_qmp`` adds
    the socket ``qmp_for_others``, as each serves one client.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        run_dir: Path,
        log: Path | None = None,
        prefix: Sequence[str] = (),
        chardevs: Sequence[str] = (),
        second_qmp: bool = False,
    ) -> None:
        self.name = name
        self.log = log or run_dir / f"{name}.log"
        self.qmp = Qmp(name, self.ended)
        self._prefix = tuple(prefix)
        self._qmp_socket = check_socket_path(run_dir / f"{name}.qmp")
        self.qmp_for_others = check_socket_path(run_dir / f"{name}.qmp2") if second_qmp else None
        self._chardevs = {chardev: check_socket_path(run_dir / f"{name}.{chardev}") for chardev in chardevs}
        self._argv = (*argv, *self._socket_argv())
        self._popen: subprocess.Popen[bytes] | None = None
        self._process: psutil.Process | None = None
        self._cpu_s = 0.0

    def start(self) -> None:
        """Start and connect QMP. :raises QemuError: with QEMU's last line. :raises MissingError: no such program."""
        self._unlink_sockets()
        self.log.unlink(missing_ok=True)
        self._popen = spawn(self._argv, log=self.log, prefix=self._prefix)
        try:
            self._process = psutil.Process(self._popen.pid)
            self.qmp.connect(self._qmp_socket, START_TIMEOUT_S)
        except psutil.NoSuchProcess as exc:
            raise QemuError(f"{self.name}: {self.ended(1.0)}") from exc
        except BaseException:
            self.stop()
            raise

    def stop(self, patience_s: float = 3.0) -> None:
        """End it: ``quit``, then SIGTERM, then SIGKILL, each after ``patience_s``. Safe to call twice."""
        self.cpu_s()
        if self._popen is not None and self._popen.poll() is None:
            if self.qmp.alive:
                with contextlib.suppress(QemuError):  # it may be too stuck to answer: then signals follow
                    self.qmp.execute("quit", timeout_s=patience_s)
                self.ended(patience_s)
            for ask in (signal.SIGTERM, signal.SIGKILL):
                if self._popen.poll() is None:
                    self._popen.send_signal(ask)
                    self.ended(patience_s)
        self.qmp.close()
        self._unlink_sockets()

    def chardev_path(self, chardev: str) -> Path:
        """The unix socket of one of ``chardevs``."""
        return self._chardevs[chardev]

    @property
    def pid(self) -> int:
        """Process id. :raises QemuError: it was never started."""
        if self._popen is None:
            raise QemuError(f"{self.name}: QEMU was not started")
        return self._popen.pid

    def cpu_s(self) -> float:
        """User and system time of all its threads so far; the last value read once it is gone."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = self._process.cpu_times()
                self._cpu_s = max(self._cpu_s, times.user + times.system)
        return self._cpu_s

    def last_words(self) -> str:
        """The last line that QEMU wrote to its log, or the empty string."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def ended(self, wait_s: float = 0.0) -> str | None:
        """How it ended, in words; None while it runs. Waits up to ``wait_s`` for its end."""
        if self._popen is None:
            return "QEMU was not started"
        try:
            status = self._popen.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        words = self.last_words()
        return f"QEMU ended: {how}" + (f": {words}" if words else " and said nothing")

    @property
    def _qmp_sockets(self) -> list[Path]:
        return [path for path in (self._qmp_socket, self.qmp_for_others) if path is not None]

    def _unlink_sockets(self) -> None:
        for path in (*self._qmp_sockets, *self._chardevs.values()):
            path.unlink(missing_ok=True)

    def _socket_argv(self) -> list[str]:
        argv = []
        for path in self._qmp_sockets:
            argv += ["-qmp", f"unix:{option_value(path)},server=on,wait=off"]
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
