"""How much memory is there to be had: of the machine, and of the control group that this process is in."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

__all__ = ["available_bytes"]

_GROUPS = Path("/sys/fs/cgroup")
_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Limit and use, as version 2 of control groups names them, and version 1."""


def available_bytes() -> int:
    """The least of what the kernel says is available and what each control group above us leaves."""
    return min(
        [psutil.virtual_memory().available, *(room for folder in _folders() if (room := _room(folder)) is not None)]
    )


def _folders() -> list[Path]:
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in {"", "memory"}:
                root = _GROUPS / controllers
                own = root / path.lstrip("/")
                found += [own, *(folder for folder in own.parents if folder.is_relative_to(root))]
    return found


def _room(folder: Path) -> int | None:
    """None: no limit, or not to be read."""
    for limit, used in _FILES:
        with contextlib.suppress(OSError, ValueError):
            return max(0, int((folder / limit).read_text()) - int((folder / used).read_text()))
    return None
