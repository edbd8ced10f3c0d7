"""A wall clock that can be stepped, for processes of ours alone: the host's own, and everybody else's, stay as they are.

``wallclock.c`` answers in the C library's place. It steps what a process reads, and no deadline that the kernel keeps: a process
that waits by the wall clock (QEMU 7.2 does, where it limits its rate) is none for it.
"""

from __future__ import annotations

import copy
import struct
import subprocess
from pathlib import Path

from harness.errors import MissingError
from harness.hosts.contract import Host

_SOURCE = Path(__file__).with_name("wallclock.c")
_SHARED = struct.Struct("=qq")


def build(folder: Path) -> Path:
    """The library, in ``folder``. :raises MissingError: no C compiler, or not for programs that are run here."""
    library = folder / "wallclock.so"
    command = [
        "cc",
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(_SOURCE),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise MissingError(
            "cc: not found; install gcc and libc6-dev, with which a clock that can be stepped is made"
        ) from exc
    if done.returncode:
        raise MissingError(f"{_SOURCE}: {done.stderr.strip().splitlines()[0]}; install gcc and libc6-dev")
    return library


class WallClock:
    """Of the processes that ``clocked`` starts. ``library``: as ``build`` made it; ``file``: new, and its maker's to remove."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library, self._file = library, file
        file.write_bytes(_SHARED.pack(0, 0))

    def clocked(self, host: Host) -> Host:
        """``host``, whose processes read this clock."""
        kept = copy.copy(host)
        kept.prefix = (*host.prefix, "env", f"LD_PRELOAD={self._library}", f"PAGEFERRY_WALLCLOCK={self._file}")
        return kept

    @property
    def readings(self) -> int:
        """How often it was read."""
        return int(_SHARED.unpack(self._file.read_bytes())[1])

    def step(self, seconds: float) -> None:
        """From now on it is so far ahead of the host's; less than zero: behind. :raises MissingError: nobody reads it."""
        if not self.readings:
            raise MissingError(f"{self._library}: no process reads this clock, for its C library does not take it")
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))
