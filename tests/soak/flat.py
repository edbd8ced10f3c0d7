"""What a process holds, and whether it holds more and more."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

MOST_GROWTH_BYTES = 32 << 20
"""Of a process's own memory, from the end of the warm-up to the end: caches of a library fill, a leak of 200 KB a migration does
not stay below it in 200."""

_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Held:
    """By one process. ``children``: processes of its own."""

    memory_bytes: int
    descriptors: int
    threads: int
    children: int


def held_by(pid: int | None = None) -> Held:
    """That process, or this one."""
    process = psutil.Process(pid)
    threads = process.num_threads() if pid is not None else threading.active_count()
    return Held(process.memory_info().rss, process.num_fds(), threads, len(process.children()))


def growth_of(looks: Sequence[Held], warmups: int) -> list[str]:
    """In sentences. ``looks``: one behind each migration; the first ``warmups`` of them may differ from the rest. Of the others the
    least of the last three is held against the most of the first three: what comes and goes is no growth."""
    early, late = looks[warmups:][:_LOOKS], looks[-_LOOKS:]
    if len(looks) < warmups + 2 * _LOOKS:
        return [f"{len(looks)} looks are too few to see growth: at least {warmups + 2 * _LOOKS} are needed"]
    found = []
    for what in ("descriptors", "threads", "children", "memory_bytes"):
        most = max(getattr(look, what) for look in early) + (MOST_GROWTH_BYTES if what == "memory_bytes" else 0)
        if (least := min(getattr(look, what) for look in late)) > most:
            found.append(
                f"{what}: {least} in the end, and at most {most} are right by what there was behind {warmups} migrations"
            )
    return found
