"""This machine, as we see it ourselves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from backends.children import module_argv
from harness.hosts.child import Child
from harness.hosts.contract import ClockOffset, Given, Host, Told
from harness.hosts.ear import Ear


class Local(Host):
    """``prefix``: for hosts that are a part of this machine."""

    def __init__(self, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self.address = address
        self.prefix = tuple(prefix)

    def child(self, argv: Sequence[str], *, log: Path) -> Child:
        """Dies with us."""
        return Child(argv, log=log, prefix=self.prefix)

    def program(self, *arguments: str) -> list[str]:
        """With our Python."""
        return module_argv("harness.cli", *arguments)

    def folder(self, run_dir: Path) -> Path:
        """The run's own."""
        return run_dir

    def bring(self, path: Path) -> Path:
        """Itself."""
        return path

    def call(self, function: Callable[[*Given], Told], *arguments: *Given) -> Told:
        """Called."""
        return function(*arguments)

    def listener(self, path: Path) -> socket.socket:
        """Bound there."""
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(path))
            listener.listen(1)
        except BaseException:
            listener.close()
            raise
        return listener

    def near(self, path: Path) -> Path:
        """Itself."""
        return path

    def ear(self, path: Path) -> Ear:
        """Connected."""
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(str(path))
        except BaseException:
            end.close()
            raise
        return Ear(end)

    def port(self) -> int:
        """Any."""
        return 0

    def clock_offset(self) -> ClockOffset:
        """It is the same clock."""
        return ClockOffset()


HERE = Local()
