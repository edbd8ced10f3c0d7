"""OpenCL DEFLATE beside libraries, on both cores: ``python tests/benchmarks/opencl.py [REPEATS]``, medians of 7, interleaved.

``real`` is half of what this machine has at hand (a Python process's memory, libraries, sources, compiled modules, texts, a
tenth random bytes), in shuffled extents of 256 KiB without zero pages; the kernel's constants were chosen on the other half,
``--tuning``. ``guest`` is the generated mix of the scenarios. All work on blocks of the same size, two threads each, and count
all bytes: of the joined stream with its markers, or of each block's raw deflate stream. The first table is of kernels alone,
the second of the whole path: batches through the worker process as the sender's threads give them, beside the same kernel
on the whole corpus at once.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyopencl as cl
import scipy.stats  # noqa: F401 - fills this process's memory with something real

sys.path.insert(0, str(Path(__file__).parents[1]))
from opencl_kernels import Kernels

from backends import registry
from backends.opencl.contract import BLOCK_BYTES
from backends.opencl.devices import list_devices
from harness.migrator.session import keep_freed_memory
from harness.streams.memory.memory import generate

THREADS = 2
EXTENT_BYTES = 256 << 10
MIX = {"zero": 0.0, "text": 0.35, "code": 0.25, "heap": 0.25, "random": 0.15}


def own_memory(limit_bytes: int) -> bytes:
    """Writable memory of this process, without stacks and large maps."""
    out = bytearray()
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, access, *rest = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if "rw" in access and end - begin < 64 << 20 and not rest[-1].startswith("[") and len(out) < limit_bytes:
                memory.seek(begin)
                out += memory.read(end - begin)
    return bytes(out[:limit_bytes])


def files(pattern: str, root: Path, limit_bytes: int) -> bytes:
    """The files of a pattern in order, 2 MiB of each at most."""
    out = bytearray()
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            out += path.read_bytes()[: 2 << 20]
        if len(out) > limit_bytes:
            break
    return bytes(out[:limit_bytes])


def halves() -> tuple[bytes, bytes]:
    """Real pages: the half for tuning, the half for telling."""
    packages = Path(np.__file__).parents[1]
    parts = [
        own_memory(36 << 20),
        files("*.so*", Path("/usr/lib/x86_64-linux-gnu"), 22 << 20),
        files("**/*.py", packages, 10 << 20),
        files("**/*.pyc", packages, 8 << 20),
        files("*/copyright", Path("/usr/share/doc"), 7 << 20),
        random.Random(5).randbytes(8 << 20),
    ]
    extents = [
        part[at : at + EXTENT_BYTES] for part in parts for at in range(0, len(part) - EXTENT_BYTES + 1, EXTENT_BYTES)
    ]
    random.Random(3).shuffle(extents)
    pages = [[e[at : at + 4096] for at in range(0, EXTENT_BYTES, 4096)] for e in extents]
    kept = [b"".join(page for page in extent if any(page)) for extent in pages]
    share = 1 - sum(map(len, kept)) / (len(extents) * EXTENT_BYTES)
    print(f"real pages: {len(extents) * EXTENT_BYTES >> 20} MiB, of which {share:.0%} zero pages are left out")
    return b"".join(kept[::2])[: 16 << 20], b"".join(kept[1::2])[: 16 << 20]


def side_by_side(contenders: dict[str, Callable[[], int]], data: bytes, repeats: int) -> None:
    """A row each: speed and ratio, and both against the first."""
    sizes = {name: run() for name, run in contenders.items()}
    taken_s: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            taken_s[name].append(time.perf_counter() - started)
    median_s = {name: statistics.median(times) for name, times in taken_s.items()}
    first = next(iter(contenders))
    for name in contenders:
        relative = [first_s / s for first_s, s in zip(taken_s[first], taken_s[name], strict=True)]
        speed = f"{len(data) / median_s[name] / 1e6:6.0f} MB/s   x {median_s[first] / median_s[name]:.2f}"
        ratio = f"{len(data) / sizes[name]:.3f}   x {sizes[first] / sizes[name]:.4f}"
        print(f"  {name:22} {speed} ({min(relative):.2f} to {max(relative):.2f})   ratio {ratio}")


def by_threads(name: str, parts: Sequence[bytes], count: int = THREADS, **options: object) -> Callable[[], int]:
    """The backend on all parts, an instance for each of ``count`` threads; gives the packed bytes."""
    backends = [registry.create(name, **options) for _ in range(count)]
    for backend in backends:
        backend.open()

    def run() -> int:
        totals = [0] * count

        def work(number: int) -> None:
            totals[number] = sum(len(backends[number].compress(part)) for part in parts[number::count])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(totals)

    return run


def by_kernel(device: cl.Device, data: bytes, block_bytes: int, style: str) -> Callable[[], int]:
    """One launch over all of ``data``, which lies in the device's memory already; gives the joined stream's bytes."""
    kernels = Kernels(device, block_bytes, style, cpu_builtins=style == "wi")
    launch, joined_bytes = kernels.prepared(data)

    def run() -> int:
        launch()
        return joined_bytes

    return run


def main() -> None:
    """Print both tables."""
    keep_freed_memory()  # as the sender does
    repeats = next((int(word) for word in sys.argv[1:] if word.isdigit()), 7)
    row, device = next((row, handle) for row, handle in list_devices() if row.type == "CPU")
    print(f"{row}, {THREADS} threads, n={repeats}")
    tuning, telling = halves()
    guest = b"".join(bytes(chunk) for chunk in generate(MIX, 4096, 9))
    corpora = {"real": tuning if "--tuning" in sys.argv else telling, "guest": guest}
    for block_bytes, (name, data) in itertools.product(BLOCK_BYTES, corpora.items()):
        print(f"\n{name}, {len(data) >> 20} MiB, blocks of {block_bytes}")
        blocks = [data[at : at + block_bytes] for at in range(0, len(data), block_bytes)]
        contenders = {f"{codec}-1": by_threads(codec, blocks) for codec in ("zlib", "isal", "libdeflate")}
        for style in ("wi", "task", "wg"):
            contenders[f"opencl {style}"] = by_kernel(device, data, block_bytes, style)
        side_by_side(contenders, data, repeats)
    for block_bytes, pages in itertools.product(BLOCK_BYTES, (256, 512, 1024)):
        data = 3 * corpora["real"]
        print(f"\nwhole path, real, blocks of {block_bytes}, {pages} pages a launch")
        batches = [data[at : at + pages * 4096] for at in range(0, len(data), pages * 4096)]
        settings = {"device": row.selector, "block": block_bytes, "timeout_ms": 5000}
        contenders = {"kernel alone": by_kernel(device, data, block_bytes, "wi")}
        for count in (2, 3):
            contenders[f"worker, {count} threads"] = by_threads("opencl", batches, count, **settings)
        side_by_side(contenders, data, repeats)


if __name__ == "__main__":
    main()
