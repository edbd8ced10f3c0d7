"""What the guest's kernel and initrd are made of: files of Debian's packages, and files of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.guests.linux.cpio import Tree, data_file, folder, program, symlink
from harness.guests.linux.heart import HEART
from harness.guests.linux.workloads import WORKLOADS

_INSIDE = Path(__file__).with_name("inside")
_STRESS_SOURCES = Path(__file__).parents[1] / "stress" / "src"


@dataclass(frozen=True, slots=True)
class Recipe:
    """``packages`` and ``wanted``: as ``gather`` takes them. ``own``: files of ours. ``data``: as of a workload."""

    name: str
    packages: tuple[str, ...]
    wanted: tuple[str, ...]
    own: Tree = field(default_factory=dict)
    data: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)


KERNEL = Recipe("vmlinuz", ("linux-image-cloud-amd64",), ("boot/vmlinuz-*",))
"""Debian's for virtual machines, compressed as it comes: what is inside would boot no sooner (3.9 and 3.7 s to the first process
under TCG, 2-core AMD EPYC, 2026-11-27, n=3)."""


def initrd(name: str) -> Recipe:
    """With the workload ``name`` and all that it needs."""
    workload = WORKLOADS[name]
    packages = ("busybox-static", *workload.packages)
    return Recipe(f"{name}.cpio", packages, ("usr/bin/busybox", *workload.wanted), _own_files(name), workload.data)


def _own_files(name: str) -> Tree:
    links = {short: symlink(f"usr/{short}") for short in ("bin", "sbin", "lib", "lib64")}
    folders = dict.fromkeys(("dev", "proc", "run", "sys", "usr/sbin", "usr/lib", "usr/lib64"), folder())
    modules = {
        f"harness/guests/linux/inside/{file.name}": data_file(file.read_bytes()) for file in _INSIDE.glob("*.py")
    }
    sources = [*_STRESS_SOURCES.glob("*.[ch]"), *HEART.parent.glob("*.c")] if name == "build" else []
    return {
        **links,
        **folders,
        **modules,
        **{f"sources/{file.name}": data_file(file.read_bytes()) for file in sources},
        "init": program((_INSIDE / "init").read_bytes()),
        "heart": program(HEART.read_bytes()),
        "workload": data_file((_INSIDE / f"{name}.sh").read_bytes()),
    }
