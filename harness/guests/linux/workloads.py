"""What can run in the Linux guest, each a real program of Debian's. One more is a script in ``inside`` and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

_HEAP_TEXT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Workload:
    """``operation``: what it counts, one of them. ``rate``: how many a second, if a scenario does not say; None: as many as it can.
    ``least_memory_bytes``: of the guest.

    ``packages``: Debian's; ``wanted``: which files of them, as patterns. ``data``: path in the guest -> what makes its contents of
    Debian's catalogue of packages, a text of 50 MB.
    """

    summary: str
    operation: str
    rate: int | None = None
    least_memory_bytes: int = 256 << 20
    packages: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    data: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)


def _commands(catalogue: bytes) -> bytes:
    """As Redis reads them: a key for each description."""
    pairs = ((b"package:%d" % number, text) for number, text in zip(count(), catalogue.split(b"\n\n"), strict=False))
    command = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
    return b"".join(command % (len(key), key, len(text), text) for key, text in pairs)


def _beginning(catalogue: bytes) -> bytes:
    """As much as a guest under TCG reads in seconds: the heap comes to five times that."""
    return catalogue[: catalogue.rindex(b"\n\n", 0, _HEAP_TEXT_BYTES)]


_PYTHON = ("usr/bin/python3", "usr/lib/python3.*/*")

WORKLOADS: Mapping[str, Workload] = {
    "idle": Workload("a Linux that has started and has nothing to do", "nothing", least_memory_bytes=128 << 20),
    "filecache": Workload(
        "files in memory, read and written anew",
        "file",
        rate=20,
        least_memory_bytes=512 << 20,
        packages=("linux-image-cloud-amd64", "python3-minimal"),
        wanted=("usr/lib/modules/*/kernel/*", *_PYTHON),
    ),
    "redis": Workload(
        "redis-server with Debian's catalogue of packages in it, read and written by a client",
        "read",
        rate=200,
        least_memory_bytes=384 << 20,
        packages=("redis-server", "redis-tools", "python3-minimal"),
        wanted=("usr/bin/redis-server", "usr/bin/redis-cli", *_PYTHON),
        data={"data/catalogue": _commands},
    ),
    # gcc itself: its heap, its page faults and its 30 MB of code are a build machine's, and cc1 and as alone need no headers.
    "build": Workload(
        "gcc compiling the C files of pageferry's own guests, over and over",
        "file",
        packages=("cpp", "binutils"),
        wanted=("usr/lib/gcc/x86_64-linux-gnu/*/cc1", "usr/bin/as"),
    ),
    "heap": Workload(
        "a Python program with a large heap of records, some replaced",
        "record",
        rate=500,
        least_memory_bytes=384 << 20,
        packages=("python3-minimal",),
        wanted=_PYTHON,
        data={"data/catalogue": _beginning},
    ),
    "stress-ng": Workload(
        "stress-ng filling a buffer with 64-bit words over and over, KubeVirt's load for migrations",
        "operation of stress-ng",
        packages=("stress-ng",),
        wanted=("usr/bin/stress-ng",),
    ),
}
"""Name -> workload; its script is ``inside/NAME.sh``."""
