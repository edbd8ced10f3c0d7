"""This machine, as we see it ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from harness.hosts.child import Child
from harness.hosts.contract import ClockOffset, Host
from harness.hosts.rundir import open_run_dir

__all__ = ["HERE", "Local"]


class Local(Host):
    """``prefix`` goes before every command, and execs it: for hosts that are a part of this machine."""

    def __init__(self, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self.address = address
        self.prefix = tuple(prefix)

    def child(self, argv: Sequence[str], *, log: Path) -> Child:
        """Dies with us."""
        return Child(argv, log=log, prefix=self.prefix)

    def open_run_dir(self, logs: Path, needs_bytes: int = 0) -> AbstractContextManager[Path]:
        """In memory where there is room."""
        return open_run_dir(logs, needs_bytes)

    def clock_offset(self) -> ClockOffset:
        """It is the same clock."""
        return ClockOffset()


HERE = Local()
