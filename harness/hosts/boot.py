"""Which host this is: all its processes, containers and network namespaces say the same, and no other host or virtual machine."""

from __future__ import annotations

from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Made by the kernel when it started (random(4)). :raises OSError: it does not say."""
    return _BOOT.read_text().strip()
