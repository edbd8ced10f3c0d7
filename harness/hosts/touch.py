"""How fast this host gives memory: a page that is touched first must be found and cleared, in a virtual machine by two kernels."""

from __future__ import annotations

import contextlib
import mmap
import time
from dataclasses import dataclass

import numpy as np

from harness.units import PAGE_BYTES


@dataclass(frozen=True, slots=True)
class TouchRates:
    """Bytes a second of memory of which one byte of each page was written: of new memory, and of the same once more."""

    first_bytes_per_s: float
    second_bytes_per_s: float


def touch_rates(size_bytes: int) -> TouchRates:
    """By new memory of that size, for which huge pages are asked as QEMU asks for a guest's; it is given back."""
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        with contextlib.suppress(OSError):  # a kernel without them, on which QEMU goes without, too
            memory.madvise(mmap.MADV_HUGEPAGE)
        pages = np.frombuffer(memory, dtype=np.uint8)[::PAGE_BYTES]
        took_s = [_written_s(pages, value) for value in (1, 2)]
        del pages  # or the mapping could not be closed
    return TouchRates(*(size_bytes / max(one_s, 1e-9) for one_s in took_s))


def _written_s(pages: np.ndarray[tuple[int], np.dtype[np.uint8]], value: int) -> float:
    began_s = time.perf_counter()
    pages[:] = value
    return time.perf_counter() - began_s
