"""Processes of this program on a host: each says ``READY`` and where once it is, and when it fails ``ERROR`` and why, with an
error's exit status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import CodecError, MissingError, PageferryError, PeerError, QemuError, ResultError, UserError
from harness.hosts.contract import Host

__all__ = ["ERROR", "READY", "OwnProcess"]

READY, ERROR = "pageferry: ready: ", "pageferry: error: "
_READY = re.compile(f"{READY}(.*)")
_ERROR = re.compile(f"^{ERROR}(.*)$", re.MULTILINE)
_START_TIMEOUT_S = 60.0
_BY_STATUS: Mapping[int, type[PageferryError]] = {
    error.exit_status: error for error in (UserError, MissingError, QemuError, PeerError, CodecError, ResultError)
}


class OwnProcess:
    """``name`` is what errors call it."""

    def __init__(self, name: str, argv: Sequence[str], *, host: Host, log: Path) -> None:
        self.name = name
        self.log = log
        self.child = host.child(argv, log=log)

    def start(self) -> None:
        """:raises MissingError: a program that it needs is not there."""
        self.child.start()

    def wait_ready(self) -> str:
        """What stands behind "ready". :raises PageferryError: its own error."""
        ready = self.child.hear(_READY, _START_TIMEOUT_S)
        if ready is None:
            how = self.child.end_and_words()
            now = f"ended: {how}" if how else f"its last line: {self.child.last_words() or '(nothing)'}"
            raise self.failed() or PeerError(f"{self.name}: not ready within {_START_TIMEOUT_S:.0f} s; {now}")
        return ready[1]

    def cpu_s(self) -> float:
        """User and system time so far, a device's worker included; the kernel's final count once it has ended."""
        return self.child.cpu_s()

    def ended(self) -> bool:
        """Whether it has, well or not."""
        return self.child.started and self.child.ended() is not None

    def failed(self) -> PageferryError | None:
        """Its error, if it has ended with one."""
        if not self.ended() or not self.child.status:
            return None
        found = _ERROR.findall(self.child.said())
        words = found[-1] if found else f"ended: {self.child.end_and_words()}"
        return _BY_STATUS.get(self.child.status, PeerError)(f"{self.name}: {words}")

    def wait_end(self, timeout_s: float) -> str:
        """Its last line, of one that is done. :raises PageferryError: it failed, or does not end."""
        if self.child.ended(timeout_s) is None:
            raise PeerError(f"{self.name}: still running after {timeout_s:g} s, when it should be done")
        if (error := self.failed()) is not None:
            raise error
        return self.child.last_words()

    def stop(self) -> None:
        """End it if it still runs."""
        self.child.stop()
