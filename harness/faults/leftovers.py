"""What a cell left behind: threads, open files, child processes, and files. A look before and a look after."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """``open_files``: as the kernel names what each descriptor is."""

    threads: frozenset[threading.Thread]
    open_files: Counter[str]
    children: frozenset[int]
    files: frozenset[str]


def look(folder: Path) -> Look:
    """At this process, and at what is in ``folder``."""
    return Look(
        frozenset(threading.enumerate()),
        Counter(_open_files()),
        frozenset(child.pid for child in psutil.Process().children(recursive=True)),
        frozenset(str(path.relative_to(folder)) for path in folder.rglob("*")),
    )


def _open_files() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - one of them is this look's, and gone
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115


def left_since(before: Look, folder: Path) -> tuple[str, ...]:
    """Each in words; nothing once all is as before, for which it may take a moment."""
    deadline_s = time.monotonic() + _SETTLE_S
    while left := tuple(_differences(before, look(folder))):
        if time.monotonic() > deadline_s:
            return left
        time.sleep(0.01)
    return ()


def _differences(before: Look, now: Look) -> Iterator[str]:
    for thread in now.threads - before.threads:
        yield f"the thread {thread.name}"
    for name in sorted((now.open_files - before.open_files).elements()):
        yield f"open: {name}"
    for pid in now.children - before.children:
        yield f"the process {pid}"
    for name in sorted(now.files - before.files):
        yield f"the file {name}"
