"""Supervises one child process: its start, what it says, how it ended, its CPU time, its end. Does not know what children do.

A child cannot outlive us, whichever thread starts it. Linux sends the death signal when the *thread* that forked a child ends, so
every child is forked by one thread that lives as long as the program. Nothing of ours runs between fork and exec (no
``preexec_fn``): util-linux's ``setpriv`` asks for the signal, then a one-line shell checks that we are still its parent (we may
have died before the request) and becomes the program. Process ids stay the same through all of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from harness.errors import MissingError
from harness.hosts.cputime import tree_cpu_s

__all__ = ["Child"]

_FORKER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pageferry-forker")
_BECOME = 'test "$PPID" = "$0" || exit 1; exec "$@"'
_LOOK_S = 0.005
_STATUS_LOST = 255
"""Where somebody had SIGCHLD ignored, so that the kernel keeps no child's status."""


class Child:
    """``argv`` behind ``prefix``, a command that execs the rest, in a session and a process group of its own. A context manager.

    Output and errors go to ``log``, which is begun anew, or to memory that ends with ``stop``. The input is empty, or where
    ``hears`` a pipe for ``tell``. ``pass_fds`` stay open in it. When it has ended, what it left in its process group is killed.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path | None = None,
        prefix: Sequence[str] = (),
        hears: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._argv = (*prefix, *argv)
        self._programs = ("setpriv", *prefix[:1], argv[0])
        self._hears = hears
        self._pass_fds = tuple(pass_fds)
        self._log = log
        self._memory: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._reaping = threading.Lock()
        self._cpu_s = 0.0
        self._lines_heard = 0

    def start(self) -> Self:
        """:raises MissingError: the program, or setpriv, is not there."""
        for program in self._programs:
            if shutil.which(program) is None:
                raise MissingError(f"{program}: no such program on PATH; install it or name it by its full path")
        _FORKER.submit(self._fork).result()
        return self

    def _fork(self) -> None:
        if self._log is None:
            self._memory = os.memfd_create("pageferry-log")
            self._log = Path(f"/proc/self/fd/{self._memory}")
        else:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.unlink(missing_ok=True)
        with self._log.open("ab") as out:
            self._popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _BECOME, str(os.getpid()), *self._argv],
                stdin=subprocess.PIPE if self._hears else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
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

    def ended(self, wait_s: float = 0.0) -> str | None:
        """How it ended, in words; None while it runs. Waits up to ``wait_s`` for its end."""
        deadline_s = time.monotonic() + wait_s
        while not self._reap():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(left_s, _LOOK_S))
        return _words(self._process.returncode)

    def end_and_words(self, wait_s: float = 0.0) -> str | None:
        """As ``ended``, with the last line that it wrote."""
        how = self.ended(wait_s)
        words = self.last_words()
        return how and how + (f": {words}" if words else " and said nothing")

    def said(self) -> str:
        """All that it wrote, or the empty string."""
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace") if self._log is not None else ""
        return ""

    def last_words(self) -> str:
        """The last line that it wrote, or the empty string."""
        return next((line.strip() for line in reversed(self.said().split("\n")) if line.strip()), "")

    def hear(self, pattern: re.Pattern[str], timeout_s: float) -> re.Match[str] | None:
        """The next line that ``pattern`` matches, after the one that was heard last. None: it ended or did not say it in time."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            over = self._reap() or time.monotonic() > deadline_s  # before the look: what it said until then counts
            lines = self.said().split("\n")[:-1]
            for number in range(self._lines_heard, len(lines)):
                if (found := pattern.match(lines[number])) is not None:
                    self._lines_heard = number + 1
                    return found
            if over:
                return None
            time.sleep(_LOOK_S)

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

    def stop(self, patience_s: float = 3.0, politely: Callable[[], None] | None = None) -> None:
        """End it by the end of its input or ``politely``, then SIGTERM, then SIGKILL, ``patience_s`` apart. Safe to call twice."""
        if self._popen is None:
            return
        self.cpu_s()
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()
            self.ended(patience_s)
        elif politely is not None and not self._reap():
            politely()
            self.ended(patience_s)
        for ask in (signal.SIGTERM, signal.SIGKILL):
            if not self._reap():
                self.signal(ask)
                self.ended(patience_s)
        if self._memory is not None:
            os.close(self._memory)
            self._memory, self._log = None, None

    def kill(self) -> None:
        """End it at once, with all of its process group."""
        if self.started:
            self.signal(signal.SIGKILL)
            self.stop()

    def __enter__(self) -> Self:
        """Started."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stopped, whatever happened."""
        self.stop()

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


def _words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-status}"
