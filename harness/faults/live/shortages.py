"""What a host may refuse to a process that runs: from now on it gets no more than it has (prlimit(2))."""

from __future__ import annotations

import os
import resource
from itertools import count
from pathlib import Path


def no_more_memory(pid: int) -> None:
    """Of its address space. A control group's limit kills, as SIGKILL does; this one is an error to who asks for more."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    _limit(pid, resource.RLIMIT_AS, pages * resource.getpagesize())


def no_more_files(pid: int) -> None:
    """Those that are open stay."""
    have = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}  # noqa: PTH208 - numbers, not paths
    _limit(pid, resource.RLIMIT_NOFILE, next(number for number in count() if number not in have))


def _limit(pid: int, what: int, most: int) -> None:
    resource.prlimit(pid, what, (most, most))
