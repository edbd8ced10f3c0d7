"""Runs sender and receiver as the processes that users run, ``pageferry send`` and ``pageferry receive``, and reads what
they leave behind: a ready line, statistics, CPU time as the kernel counted it, and on failure their one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.children import module_argv
from harness.errors import CodecError, MissingError, PageferryError, PeerError, QemuError, UserError
from harness.hosts.cputime import tree_cpu_s
from harness.links.link_api import Link
from harness.scenario.model import Method

__all__ = [
    "Half",
    "Spawn",
    "failure_of",
    "open_pair",
    "pair_counters",
    "pair_decisions",
    "pair_doubts",
    "pair_parameters",
    "pair_steering",
]

Spawn = Callable[..., "subprocess.Popen[bytes]"]
"""``spawn(argv, log=..., prefix=...)``: a child that cannot outlive the harness."""

_READY = re.compile(r"^pageferry: ready: (.*)$", re.MULTILINE)
_ERROR = re.compile(r"^pageferry: error: (.*)$", re.MULTILINE)
_START_TIMEOUT_S = 20.0
_OWN_LINK = ("--insecure",)
"""The addresses are of links that the harness made, with nothing else on them."""

_BY_STATUS: Mapping[int, type[PageferryError]] = {
    2: UserError,
    3: MissingError,
    4: QemuError,
    5: PeerError,
    6: CodecError,
}


def sender_arguments(
    method: Method, source: Path, target: str, qmp: Path | None = None, *, return_path: bool = True
) -> list[str]:
    """``pageferry send`` for a scenario's method; ``qmp``: the source QEMU's, where it is to be steered."""
    arguments = ["send", "--from", f"unix:{source}", "--to", target, "--backend", str(method.backend), *_OWN_LINK]
    options = {
        "--level": method.level,
        "--threads": method.threads,
        "--decompress-threads": method.decompress_threads,
        "--batch": method.batch_bytes and f"{method.batch_bytes}B",
        "--inflight": method.inflight_bytes and f"{method.inflight_bytes}B",
        "--fallback": method.fallback,
        "--qmp": qmp and f"unix:{qmp}",
    }
    arguments += [] if return_path else ["--without-return-path"]
    arguments += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    return arguments + [part for name, value in method.options.items() for part in ("--option", f"{name}={value}")]


def receiver_arguments(method: Method, listen: str, target: Path) -> list[str]:
    """``pageferry receive`` for a scenario's method."""
    arguments = ["receive", "--listen", listen, "--to", f"unix:{target}", *_OWN_LINK]
    return arguments + (["--threads", str(method.decompress_threads)] if method.decompress_threads else [])


class Half:
    """``pageferry send`` or ``receive`` in its own process. ``name`` is "sender" or "receiver"."""

    def __init__(self, name: str, arguments: Sequence[str], *, run_dir: Path, spawn: Spawn) -> None:
        self.name = name
        self.log = run_dir / f"{name}.log"
        self._stats = run_dir / f"{name}.json"
        self._argv = module_argv("harness.cli", *arguments, "--stats", str(self._stats))
        self._spawn = spawn
        self._popen: subprocess.Popen[bytes] | None = None
        self._cpu_end_s: float | None = None
        self._cpu_begin_s = 0.0

    @property
    def pid(self) -> int:
        """Process id of the started half."""
        assert self._popen is not None  # noqa: S101 - started by __enter__
        return self._popen.pid

    def start(self, prefix: Sequence[str] = ()) -> str:
        """Start it (behind ``prefix``) and wait for its ready line, which is returned. :raises PageferryError: its own error."""
        self.log.unlink(missing_ok=True)
        self._popen = self._spawn(self._argv, log=self.log, prefix=prefix)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if (ready := _READY.search(self._log_text())) is not None:
                return ready[1]
            if self._reap():
                raise self._failure()
            time.sleep(0.01)
        raise PeerError(f"{self.name}: not ready after {_START_TIMEOUT_S:.0f} s; last line: {self._last_line()}")

    def mark_begin(self) -> None:
        """The migration begins: CPU time counts from here."""
        self._cpu_begin_s = self.cpu_s()

    def cpu_s(self) -> float:
        """User and system time so far, a device's worker included; the kernel's final count once it has ended."""
        return self._cpu_end_s if self._cpu_end_s is not None else tree_cpu_s(self.pid)

    def migration_cpu_s(self) -> float:
        """CPU time since ``mark_begin``."""
        return self.cpu_s() - self._cpu_begin_s

    def ended(self) -> bool:
        """Whether the process has ended, well or not."""
        return self._popen is not None and self._reap()

    def failed(self) -> PageferryError | None:
        """Its error, if it has ended with one."""
        if self.ended() and self._popen is not None and self._popen.returncode != 0:
            return self._failure()
        return None

    def finish(self, timeout_s: float = 15.0) -> dict[str, Any]:
        """Wait for its end; its statistics. :raises PageferryError: it failed, or does not end."""
        deadline_s = time.monotonic() + timeout_s
        while not self._reap():
            if time.monotonic() > deadline_s:
                raise PeerError(f"{self.name}: still running {timeout_s:.0f} s after the migration's end")
            time.sleep(0.005)
        if self._popen is not None and self._popen.returncode != 0:
            raise self._failure()
        statistics: dict[str, Any] = json.loads(self._stats.read_text())
        return statistics

    def stop(self) -> None:
        """End it if it still runs: SIGTERM, then SIGKILL."""
        if self._popen is None:
            return
        for ask in (signal.SIGTERM, signal.SIGKILL):
            if self._reap():
                return
            self._popen.send_signal(ask)
            deadline_s = time.monotonic() + 3.0
            while time.monotonic() < deadline_s and not self._reap():
                time.sleep(0.01)

    def _reap(self) -> bool:
        """Whether it has ended. Reaped by hand, as only wait4 gives the kernel's count of its and its children's CPU time."""
        popen = self._popen
        assert popen is not None  # noqa: S101 - callers start it first
        if popen.returncode is not None:
            return True
        try:
            pid, status, usage = os.wait4(popen.pid, os.WNOHANG)
        except ChildProcessError:
            popen.returncode = -1
            return True
        if pid == 0:
            return False
        popen.returncode = os.waitstatus_to_exitcode(status)
        self._cpu_end_s = usage.ru_utime + usage.ru_stime
        return True

    def _failure(self) -> PageferryError:
        status = self._popen.returncode if self._popen is not None else -1
        found = _ERROR.findall(self._log_text())
        words = found[-1] if found else f"ended with status {status}; last line: {self._last_line()}"
        return _BY_STATUS.get(status, PeerError)(f"{self.name}: {words}")

    def _log_text(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")
        return ""

    def _last_line(self) -> str:
        lines = self._log_text().strip().splitlines()
        return lines[-1] if lines else "(nothing)"


@contextlib.contextmanager
def open_pair(
    method: Method,
    link: Link,
    *,
    source: Path,
    target: Path,
    run_dir: Path,
    spawn: Spawn,
    qmp: Path | None = None,
    return_path: bool = True,
) -> Iterator[tuple[Half, Half]]:
    """Sender and receiver at both ends of ``link``, ready: the source connects to ``source``, ``target`` is listened on.
    ``return_path``: whether the destination will confirm that it has all.

    :raises PageferryError: one of them does not start; its own words.
    """
    with contextlib.ExitStack() as stack:
        listen = f"tcp:{link.destination_listen_host}:0"
        receiver = Half("receiver", receiver_arguments(method, listen, target), run_dir=run_dir, spawn=spawn)
        stack.callback(receiver.stop)
        ready = receiver.start(link.destination_prefix)
        host, port = link.connect_address(int(ready.rpartition(":")[2]))
        arguments = sender_arguments(method, source, f"tcp:{host}:{port}", qmp, return_path=return_path)
        sender = Half("sender", arguments, run_dir=run_dir, spawn=spawn)
        stack.callback(sender.stop)
        sender.start(link.source_prefix)
        yield sender, receiver


def failure_of(halves: Sequence[Half], patience_s: float = 2.0) -> PageferryError | None:
    """What the pair died of. A codec's or the machine's fault before a broken link, which only follows from it; else the
    receiver's word first, since the sender repeats it. After a failed migration both are about to end: waited for up to
    ``patience_s``, or QEMU's consequence would be told for the cause.
    """
    deadline_s = time.monotonic() + patience_s
    while not all(half.ended() for half in halves) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    errors = [error for half in reversed(halves) if (error := half.failed()) is not None]
    return next((error for error in errors if not isinstance(error, PeerError)), errors[0] if errors else None)


def pair_parameters(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``sender.backend`` and so on: what the halves report that they used."""
    keys = ("backend", "level", "threads", "fallback")
    return {f"{name}.{key}": values[key] for name, values in statistics.items() for key in keys if key in values}


def pair_counters(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, int | float]:
    """What the halves counted, flat; ``fallbacks`` always."""
    counters: dict[str, int | float] = {"fallbacks": 0}
    for name, values in statistics.items():
        own = {**values.get("counters", {}), **values.get("steering", {})}
        counters |= {f"{name}_{key}": value for key, value in {**values, **own}.items() if type(value) in (int, float)}
        counters["fallbacks"] += values.get("fallbacks", 0)
        shares = values.get("policy", {}).get("shares", {})
        counters |= {f"{name}_share_{choice}": share for choice, share in shares.items()}
    return counters


def pair_decisions(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What the policy of ``auto`` chose, and why."""
    return tuple(statistics.get("sender", {}).get("policy", {}).get("decisions", ()))


def pair_steering(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """What the source QEMU was told to believe, and why."""
    return tuple(statistics.get("sender", {}).get("steering", {}).get("decisions", ()))


def pair_doubts(statistics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for whatever makes the halves' figures other than they seem."""
    sender = statistics.get("sender", {})
    yield from sender.get("steering", {}).get("warnings", ())
    if sender.get("opaque_reason"):
        yield f"the stream was carried without knowing its pages: {sender['opaque_reason']}"
    if sender.get("fallbacks"):
        yield (
            f"{sender['fallbacks']} of {sender['batches']} batches were compressed by {sender['fallback']}, not by "
            f"{sender['backend']}: {sender['fallback_reason']}"
        )
