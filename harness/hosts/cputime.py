"""CPU time of a process and of what it started, as the kernel counts it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def tree_cpu_s(pid: int) -> float:
    """User and system seconds of ``pid`` and all its descendants, reaped ones included; 0 if it has ended.

    Reads ``/proc/PID/task/*/children`` (proc(5)) instead of every process on the machine: 0.2 ms with one child.
    """
    total_s = 0.0
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        times = psutil.Process(pid).cpu_times()
        total_s = times.user + times.system + times.children_user + times.children_system
    return total_s + sum(tree_cpu_s(child) for child in _children(pid))


def thread_cpu_s(thread: int) -> float | None:
    """How long a thread of any process has been on a core so far; None: it has ended, or the kernel does not count it.

    The first number of ``/proc/TID/task/TID/schedstat``, to which time in a guest belongs.
    """
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{thread}/task/{thread}/schedstat").read_text().split()[0]) / 1e9
    return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found
