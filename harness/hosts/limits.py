"""What this process may have of the host: memory, huge pages, processors. Control groups of version 1 and 2 (cgroups(7)).

A limit may be set on a group or on any above it, so all of them are read; what cannot be read is no limit.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_HUGE = Path("/sys/kernel/mm/hugepages")
# Limits and use, as version 2 names them, and version 1.
_MEMORY = (
    (("memory.max", "memory.high"), "memory.current"),
    (("memory.limit_in_bytes",), "memory.usage_in_bytes"),
)
_RECLAIMABLE = ("inactive_file", "active_file", "slab_reclaimable")


def available_bytes() -> int:
    """The least of what the kernel says is available and what each control group leaves."""
    return min(
        [
            psutil.virtual_memory().available,
            *(room for folder in _folders("memory") if (room := _room(folder)) is not None),
        ]
    )


@dataclass(frozen=True, slots=True)
class HugePages:
    """Of one size: how many are reserved, and how many of them nobody has or was promised."""

    total: int
    free: int


def hugepages(page_bytes: int) -> HugePages | None:
    """Of that size (Documentation/admin-guide/mm/hugetlbpage.rst); None: this kernel has none."""
    counts = [_number(_pool(page_bytes) / f"{name}_hugepages") for name in ("nr", "free", "resv")]
    total, free, promised = (count or 0 for count in counts)
    return None if None in counts else HugePages(total, free - promised)


def reserving(page_bytes: int, pages: int) -> str:
    """The command that makes the kernel keep so many: a sysctl for the usual size, which is 2 MiB, and a file for any other."""
    if page_bytes == 2 << 20:
        return f"sysctl vm.nr_hugepages={pages}"
    return f"echo {pages} > {_pool(page_bytes) / 'nr_hugepages'}"


def _pool(page_bytes: int) -> Path:
    return _HUGE / f"hugepages-{page_bytes >> 10}kB"


def cpu_quota() -> float | None:
    """How many processors' time the control groups let us use, 0.5 for half a one; None: no limit."""
    return min((quota for folder in _folders("cpu") if (quota := _quota(folder)) is not None), default=None)


def cores() -> int:
    """How many processors this process can keep busy: those that it may run on, and no more than its groups' quota; at least 1."""
    quota = cpu_quota()
    allowed = len(os.sched_getaffinity(0))
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def throttled_s() -> dict[Path, float]:
    """By group: how long it has kept its processes waiting, as its quota was used up, added over processors."""
    found = {}
    for folder in _folders("cpu"):
        stat = _counts(folder / "cpu.stat")
        if "throttled_usec" in stat or "throttled_time" in stat:  # microseconds in version 2, nanoseconds in version 1
            found[folder] = stat.get("throttled_usec", 0) / 1e6 + stat.get("throttled_time", 0) / 1e9
    return found


def most_throttled_s(before: Mapping[Path, float], after: Mapping[Path, float]) -> float:
    """The most that any group was between two times that ``throttled_s`` was asked."""
    return max((now - before.get(folder, now) for folder, now in after.items()), default=0.0)


def _folders(controller: str) -> Iterator[Path]:
    """The groups that we are in and those above them, of version 2 and of version 1's ``controller``."""
    with contextlib.suppress(OSError):
        for line in _MEMBERSHIP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = _GROUPS / (controller if controllers else "")
            own = root / path.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _room(folder: Path) -> int | None:
    """None: no limit, or not to be read. The page cache, which the kernel gives up on demand, is not counted as used."""
    for limits, used in _MEMORY:
        found = [limit for name in limits if (limit := _number(folder / name)) is not None]
        use = _number(folder / used)
        if found and use is not None:
            return max(0, min(found) - max(0, use - _reclaimable_bytes(folder)))
    return None


def _reclaimable_bytes(folder: Path) -> int:
    """``total_``: version 1's word for a group with those below it, which its use counts too."""
    counts = _counts(folder / "memory.stat")
    return sum(counts.get(f"total_{name}", counts.get(name, 0)) for name in _RECLAIMABLE)


def _quota(folder: Path) -> float | None:
    with contextlib.suppress(ValueError, ZeroDivisionError):
        share, of = _text(folder / "cpu.max").split()
        return int(share) / int(of)
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _counts(path: Path) -> dict[str, int]:
    """Of a file with a name and a number on each line; without those lines that have not."""
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(path: Path) -> int | None:
    with contextlib.suppress(ValueError):
        return int(_text(path))
    return None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
