"""Which of a host's processors somebody may use: each party of a migration by a list, this process and its own by a number."""

from __future__ import annotations

import contextlib
import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import MissingError, UserError
from harness.hosts.contract import Host
from harness.hosts.limits import cores

_CPUS = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")  # Linux has at most 8192


def parse_cpus(text: str) -> frozenset[int]:
    """``"0-3,8"``, as taskset(1) and the kernel write processors' numbers. :raises ValueError: it is no such list."""
    found: set[int] = set()
    for part in text.split(","):
        match = _CPUS.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(f'{text!r} is no list of processors: write for example "0-3,8"')
        found |= set(range(first, last + 1))
    return frozenset(found)


def check_cpus(place: str, text: str) -> None:
    """:raises MissingError: this process may not use all of them; names them, with ``place``."""
    allowed = os.sched_getaffinity(0)
    if absent := parse_cpus(text) - allowed:
        those, mine = (",".join(str(cpu) for cpu in sorted(some)) for some in (absent, allowed))
        raise MissingError(
            f'{place} "{text}": processor {those} is none that this process may use ({mine}); write others'
        )


def pinned(host: Host, cpus: str | None) -> Host:
    """``host``, whose processes run on those processors only; None: itself. By util-linux's taskset, which becomes the program."""
    if cpus is None:
        return host
    kept = copy.copy(host)
    kept.prefix = (*host.prefix, "taskset", "-c", cpus)
    return kept


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
