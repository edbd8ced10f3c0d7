"""Supervises one child process: its start, what it says, how it ended, its CPU time, its end. Does not know what children do.

A child cannot outlive us, whichever thread starts it. Linux sends the death signal when the *thread* that forked a child ends, so
every child is forked by one thread that lives as long as the program. Nothing of ours runs between fork and exec (no
``preexec_fn``): util-linux's ``setpriv`` asks for the signal, then a one-line shell checks that we are still its parent (we may
have died before the request) and becomes the program. Process ids stay the same through all of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from harness.errors import MissingError
from harness.hosts.cputime import tree_cpu_s
from harness.hosts.watched import Watched

_FORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pageferry-forker")
_BECOME = 'test "$PPID" = "$0" || exit 1; exec "$@"'
_STATUS_LOST = 255
"""Where somebody had SIGCHLD ignored, so that the kernel keeps no child's status."""


class Child(Watched):
    """``argv`` behind ``prefix``, a command that execs the rest, in a session and a process group of its own. A context manager.

    Output and errors go to ``log``, which is begun anew, to the descriptor ``output``, or to memory that ends with ``stop``. The
    input is empty, or where ``hears`` a pipe for ``tell``. ``pass_fds`` stay open in it. When it has ended, what it left in its
    process group is killed.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path | None = None,
        prefix: Sequence[str] = (),
        hears: bool = False,
        pass_fds: Sequence[int] = (),
        output: int | None = None,
    ) -> None:
        super().__init__(log)
        self._argv = (*prefix, *argv)
        self._programs = ("setpriv", *prefix[:1], argv[0])
        self._hears = hears
        self._pass_fds = tuple(pass_fds)
        self._output = output
        self._memory: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._reaping = threading.Lock()
        self._cpu_s = 0.0

    def start(self) -> Self:
        """:raises MissingError: the program, or setpriv, is not there, or not for us to run."""
        for program in self._programs:
            if shutil.which(program) is None:
                if "/" in program and os.path.lexists(program):
                    raise MissingError(
                        f"{program}: may not be run by this user; let it be read and run, and what it links to"
                    )
                raise MissingError(f"{program}: no such program on PATH; install it or name it by its full path")
        _FORKER.submit(self._fork).result()
        return self

    def _fork(self) -> None:
        if self._output is not None:
            self._popen = self._opened(self._output)
            return
        if self._log is None:
            self._memory = os.memfd_create("pageferry-log")
            self._log = Path(f"/proc/self/fd/{self._memory}")
        else:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.unlink(missing_ok=True)
        with self._log.open("ab") as out:
            self._popen = self._opened(out.fileno())

    def _opened(self, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _BECOME, str(os.getpid()), *self._argv],
            stdin=subprocess.PIPE if self._hears else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=self._pass_fds,
            start_new_session=True,
        )

    @property
    def started(self) -> bool:
        """Whether it was."""
        return self._popen is not None

    @property
    def pid(self) -> int:
        """Process id of the started child."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, or minus the number of the signal that killed it; None while it runs."""
        return self._process.returncode if self._reap() else None

    def tell(self, line: str) -> None:
        """Write to its input, unless it has ended: what is asked of it later will tell."""
        pipe = self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None:
                pipe.write(f"{line}\n".encode())
                pipe.flush()

    def cpu_s(self) -> float:
        """User and system seconds so far, of what it started too; the kernel's final count once it has ended."""
        if self.started and not self._reap():
            self._cpu_s = max(self._cpu_s, tree_cpu_s(self.pid))
        return self._cpu_s

    def signal(self, number: signal.Signals) -> None:
        """Send it, if it still runs."""
        with self._reaping:  # nobody else can have its number before it is reaped
            if self._process.returncode is None:
                os.kill(self.pid, number)

    def end_input(self) -> bool:
        """Closes the pipe."""
        pipe = self._process.stdin
        if pipe is None:
            return False
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        return True

    def stop(self, patience_s: float = 3.0, politely: Callable[[], None] | None = None) -> None:
        """As every child's; then what it wrote to memory is forgotten."""
        super().stop(patience_s, politely)
        if self._memory is not None:
            os.close(self._memory)
            self._memory, self._log = None, None

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._popen is not None, "start() comes first"  # noqa: S101
        return self._popen

    def _reap(self) -> bool:
        """Whether it has ended. By hand: only wait4 gives the kernel's count of its and its children's CPU time, and until then its
        number, and so its group's, is nobody else's."""
        with self._reaping:
            popen = self._process
            if popen.returncode is not None:
                return True
            try:
                if os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    return False
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, signal.SIGKILL)
                _, status, usage = os.wait4(popen.pid, 0)
            except ChildProcessError:
                popen.returncode = _STATUS_LOST
                return True
            self._cpu_s = max(self._cpu_s, usage.ru_utime + usage.ru_stime)
            popen.returncode = os.waitstatus_to_exitcode(status)
            return True
