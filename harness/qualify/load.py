"""Work for measurements: guest pages as the scenarios have them, and threads that compress them until a time is over."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backends.api import Backend, Buffer
from backends.conformance import thread_queued_s
from harness.hosts.cputime import tree_cpu_s
from harness.qualify.check import Bench, Failed, NotApplicable
from harness.streams.memory.memory import generate
from harness.units import MIB

CORPUS_BYTES = 16 << 20
_PAGE_BYTES = 4096
_MIX = {"text": 0.35, "code": 0.25, "heap": 0.25, "random": 0.15}
"""The scenarios' guest memory without its zero pages, which QEMU does not send."""
_SEED = 7

Work = Callable[[Backend, Buffer], int]
"""One call: how many bytes came out."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What so many threads got done. CPU time is of this process and all that it started.

    ``queued_s``: how long these threads, on average, were ready to work while others had the cores.
    """

    raw_bytes: int
    packed_bytes: int
    calls: int
    elapsed_s: float
    cpu_s: float
    queued_s: float

    @property
    def mib_per_s(self) -> float:
        """Of raw data."""
        return self.raw_bytes / self.elapsed_s / MIB


@functools.cache
def corpus() -> memoryview:
    """``CORPUS_BYTES`` of guest pages, the same on every machine."""
    chunks = list(generate(_MIX, CORPUS_BYTES // _PAGE_BYTES, _SEED))  # type: ignore[arg-type]
    return memoryview(np.concatenate(chunks).reshape(-1).data)


def slices(unit_bytes: int) -> list[memoryview]:
    """The corpus in units."""
    data = corpus()
    return [data[at : at + unit_bytes] for at in range(0, len(data) - unit_bytes + 1, unit_bytes)]


def require_forgetful(bench: Bench) -> None:
    """:raises NotApplicable: it keeps history, in which work that repeats costs nothing."""
    if bench.info.stateful:
        raise NotApplicable(
            "a codec with history would recognise pages that are compressed over and over; replay a stream instead"
        )


def compress(instance: Backend, unit: Buffer) -> int:
    """The usual ``Work``."""
    return len(instance.compress(unit))


def measure_rate(
    instances: Sequence[Backend],
    units: Sequence[Buffer],
    call: Work,
    seconds: float,
) -> Rate:
    """Each instance in a thread of its own gives ``call`` one of ``units`` after another until the time is over.

    The clock runs from a common start to the end of the last call.
    :raises Failed: a call raised.
    """
    counts = [[0, 0, 0] for _ in instances]
    queued_s = [0.0 for _ in instances]
    faults: list[str] = []
    barrier = threading.Barrier(len(instances) + 1)

    def work(number: int) -> None:
        instance, count = instances[number], counts[number]
        at = number * len(units) // len(instances)
        barrier.wait()
        before_s, deadline_s = thread_queued_s(), time.monotonic() + seconds
        try:
            while time.monotonic() < deadline_s:
                count[1] += call(instance, units[at])
                count[0] += len(units[at])
                count[2] += 1
                at = (at + 1) % len(units)
        except Exception as exc:
            faults.append(" ".join(f"{type(exc).__name__}: {exc}".split()))
        queued_s[number] = thread_queued_s() - before_s

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(instances))]
    for thread in threads:
        thread.start()
    cpu_before_s = tree_cpu_s(os.getpid())
    barrier.wait()
    began_s = time.monotonic()
    for thread in threads:
        thread.join()
    elapsed_s = time.monotonic() - began_s
    if faults:
        raise Failed(f"while its speed was measured: {faults[0]}")
    raw, packed, calls = (sum(column) for column in zip(*counts, strict=True))
    cpu_s = tree_cpu_s(os.getpid()) - cpu_before_s
    return Rate(raw, packed, calls, elapsed_s, cpu_s, sum(queued_s) / len(queued_s))
