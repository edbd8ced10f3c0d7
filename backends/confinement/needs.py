"""What a process keeps when it gives up the rest. Plain data."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Needs:
    """``reads``: files and folders beside those of the system and of Python. ``writes``: folders in which files are made and
    replaced, and files that are written to as they are. ``sockets``: folders of our own unix sockets. ``binds``, ``connects``: TCP
    ports; 0 to bind: any that is free. ``families``: of sockets (``AF_INET``), beside unix sockets; None: all. ``device``: that of
    a backend, with its driver's files and the programs that compile for it; ``caches``: where these keep what they made.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    sockets: tuple[Path, ...] = ()
    binds: tuple[int, ...] = ()
    connects: tuple[int, ...] = ()
    families: tuple[int, ...] | None = ()
    device: bool = False
    caches: tuple[Path, ...] = ()


def device_caches() -> tuple[Path, ...]:
    """Where drivers keep kernels that they compiled, and their compilers' temporary files. Makes what is not there yet."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    pocl = Path(os.environ.get("POCL_CACHE_DIR") or caches / "pocl")
    found = [pocl, caches / "pyopencl", caches / "pytools", Path.home() / ".nv", Path(tempfile.gettempdir())]
    for folder in found:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    return tuple(found)
