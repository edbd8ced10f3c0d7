"""How fast a core is beside those of which the priors of ``auto`` are, and how many others want it, so that the first choice is not
made for another machine."""

from __future__ import annotations

import random
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path

_SAMPLE_BYTES, _WORDS, _ROUNDS = 64 << 10, 200, 5
_PRIORS_BYTES_PER_S = 89e6
"""Of zlib 1, which is everywhere, on the sample: 117 MB/s of CPU time while the codecs, too, were 1.33 times as fast as their
priors (2-core Intel Xeon, nothing else running, 2026-11-29, median, n=20: 113 to 119). It differs less from run to run than codecs
whose tables and copies wait for memory."""

_STAT = Path("/proc/stat")
_RUNNING = re.compile(rb"^procs_running (\d{1,9})$", re.MULTILINE)
_LOOKS, _BETWEEN_S, _MOST = 5, 0.0005, 1 << 30


def core_speed() -> float:
    """1: as fast. Takes some 5 ms; CPU time, the best of some rounds."""
    sample, took_s = _sample(), float("inf")
    for _ in range(_ROUNDS):
        began_s = time.thread_time()
        zlib.compress(sample, 1)
        took_s = min(took_s, time.thread_time() - began_s)
    return len(sample) / max(1e-6, took_s) / _PRIORS_BYTES_PER_S


def _sample() -> bytes:
    """Words, the same everywhere."""
    rng = random.Random(64)  # noqa: S311 - data to be measured with, not secrets
    words = [rng.randbytes(rng.randrange(2, 11)) for _ in range(_WORDS)]
    return b"".join(rng.choices(words, k=_SAMPLE_BYTES // 5))[:_SAMPLE_BYTES]


def busy_others(look: Callable[[], bytes] = _STAT.read_bytes) -> int:
    """How many threads, beside the one that asks, want one of this host's cores all the time: the least of some looks at
    ``procs_running`` (proc(5)), between which it sleeps. 0 where the kernel does not say. Takes some 4 ms."""
    least = _MOST
    for _ in range(_LOOKS):
        time.sleep(_BETWEEN_S)
        try:
            found = _RUNNING.search(look())
        except OSError:
            return 0
        least = min(least, int(found[1]) - 1 if found else 0)
    return max(0, least)
