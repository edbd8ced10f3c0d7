"""Limits that are part of every target's property: CPU time and memory of one input. Linux only.

Memory is the peak that the kernel counted, which is set back before each input: what was freed since counts too.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

from fuzz.target import Target

__all__ = ["MOST_CPU_S", "MOST_GROWN_BYTES", "judged", "peak_bytes"]

MOST_CPU_S = 10.0
"""An input of 16 KiB takes milliseconds; a loop that does not end takes more than this on any machine."""

MOST_GROWN_BYTES = 96 << 20
"""Twelve MiB of a batch that restores, its copies, and what the allocator keeps."""

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The most that this process held since ``_forget_peak``."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def _forget_peak() -> int:
    """From now on; what is held now."""
    _CLEAR.write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def judged(target: Target, data: bytes) -> str | None:
    """What is wrong with ``target`` on ``data``, its time and memory included."""
    held_bytes, began_s = _forget_peak(), time.thread_time()
    wrong = target.run(data)
    spent_s, grown_bytes = time.thread_time() - began_s, peak_bytes() - held_bytes
    if spent_s > MOST_CPU_S:
        return f"it took {spent_s:.1f} s of CPU time"
    if grown_bytes > MOST_GROWN_BYTES:
        return f"it took {grown_bytes >> 20} MiB"
    return wrong
