"""Which cores this process and all that it starts may use, where a measurement is to have fewer than there are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UserError
from harness.hosts.limits import cores

__all__ = ["on_cores"]


@contextlib.contextmanager
def on_cores(count: int | None) -> Iterator[int]:
    """Hold this process, and all that it starts, to ``count`` cores; gives how many there are (None: all that it may use).

    :raises UserError: there are fewer. More cores than are here cannot be measured, and guessing them is not measuring.
    """
    before = os.sched_getaffinity(0)
    if count is not None and count > cores():
        raise UserError(
            f"--cores {count}: this process may use {cores()}; ask for at most so many, or run it where there are more"
        )
    _hold_to(set(sorted(before)[:count]))
    try:
        yield count or cores()
    finally:
        _hold_to(before)


def _hold_to(cores: set[int]) -> None:
    """All threads: children are forked by one of them."""
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(task.name), cores)
