"""What shows itself only after a while, or in bad company: rare errors, leaks, drift, a noisy neighbour."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from backends.api import Backend, BackendError, Buffer
from backends.children import code_argv
from backends.conformance import KINDS, sample
from harness.hosts.child import Child
from harness.hosts.limits import cores
from harness.qualify.check import Bench, Check, Failed, Found, Value, check
from harness.qualify.load import Work, measure_rate, slices
from harness.units import MIB

CHECKS: list[Check] = []

_SETTLE_S = 2.0
_WINDOWS = 24


@check(
    CHECKS,
    "endurance.rare",
    "tens of thousands of small batches, each compared: none comes back different",
    "a fault once in ten thousand batches is a lost guest every few migrations",
    limit_s=90,
)
def _rare(bench: Bench) -> Found:
    most, seconds = (40_000, 8.0) if bench.quick else (2_000_000, 300.0)
    pool = [sample(kind, 2048 + 64 * seed, seed=seed) for kind in KINDS for seed in range(8)]
    done = 0
    with bench.opened() as instance:
        deadline_s = time.monotonic() + seconds
        while done < most and time.monotonic() < deadline_s:
            for data in pool:
                if instance.decompress(instance.compress(data), len(data)) != data:
                    raise Failed(f"batch {done + 1}, of {len(data)} bytes, came back different; those before did not")
                done += 1
    # The rule of three: with none in n, 95 % of fault rates above 3/n would have shown themselves.
    evidence = f"{done} batches; a fault in more than one of {done // 3} would have shown itself with 95 % confidence"
    return Found(evidence, (Value("rare_batches", done, ""),))


@check(
    CHECKS,
    "endurance.leaks",
    "calls and instances give back memory, files, threads and processes",
    "a sender lives as long as its host, and migrates many guests",
    limit_s=90,
    alone=True,
)
def _leaks(bench: Bench) -> Found:
    seconds = 4.0 if bench.quick else 60.0
    per_call = _growth_per_call(bench, seconds)
    before, rounds = _held(), 0
    with bench.opened() as instance:
        _use(instance)
    before, settled_bytes = _settled(before), _kept_bytes()
    deadline_s = time.monotonic() + seconds
    while rounds < 4 or (time.monotonic() < deadline_s and rounds < 200):
        with bench.opened() as instance:
            _use(instance)
        rounds += 1
    after = _settled(before)
    per_instance_kib = max(0.0, (_kept_bytes() - settled_bytes) / rounds / 1024)
    values = (
        Value("leak_bytes_per_call", round(per_call, 1), "B"),
        Value("leak_kib_per_instance", round(per_instance_kib, 1), "KiB"),
        *(Value(f"leaked_{name}", max(0, after[name] - before[name]), "") for name in before),
    )
    return Found(f"{per_call:.0f} bytes a call; after {rounds} instances: {_told(values[1:])}", values)


def _told(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.name} {value.value:g}{' ' + value.unit if value.unit else ''}" for value in values)


def _growth_per_call(bench: Bench, seconds: float) -> float:
    """Bytes of memory per call in the calmer of two stretches, after a stretch in which pools may fill."""
    with bench.opened() as instance:
        stretches = []
        for _ in range(3):
            before_bytes, calls = _kept_bytes(), 0
            deadline_s = time.monotonic() + seconds / 3
            while time.monotonic() < deadline_s and calls < 4000:
                _use(instance)
                calls += 1
            stretches.append(max(0.0, (_kept_bytes() - before_bytes) / calls))
    return min(stretches[1:])


def _use(instance: Backend) -> None:
    data = slices(65536)[3]
    instance.decompress(instance.compress(data), len(data))


def _held() -> dict[str, int]:
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "processes": len(psutil.Process().children(recursive=True)),
    }


def _settled(before: dict[str, int]) -> dict[str, int]:
    """What is held once nothing more is given back, for what ends in the background."""
    deadline_s = time.monotonic() + _SETTLE_S
    while (now := _held()) != before and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return now


def _kept_bytes() -> int:
    """Resident memory without what this process has freed: a leak would fill that first, and not be seen."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # a C library that keeps little
        ctypes.CDLL(None).malloc_trim(0)
    return _rss_bytes()


def _rss_bytes() -> int:
    """Resident memory of this process and all that it started."""
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


@check(
    CHECKS,
    "endurance.noisy-neighbour",
    "with every core busy it still delivers, and in time",
    "hosts that migrate guests away are hosts without idle cores",
    limit_s=90,
)
def _noisy(bench: Bench) -> Found:
    seconds = 1.0 if bench.quick else 10.0
    quiet = _tolerant(bench, seconds)
    with ExitStack() as stack:
        for _ in range(cores()):
            stack.enter_context(Child(code_argv("\nwhile True: pass")))
        noisy = _tolerant(bench, 2 * seconds)
    if not quiet[0]:
        raise Failed("every batch was refused or late, with no busy process of ours beside it")
    share, failures = noisy[0] / quiet[0], noisy[1]
    values = (Value("noisy_share", round(share, 3), ""), Value("noisy_failures", round(failures, 4), ""))
    words = f"{quiet[0]:.0f} MiB/s alone, {noisy[0]:.0f} MiB/s beside {cores()} busy processes"
    return Found(f"{words}; {failures * 100:.1f} % of batches refused or late there", values)


def _tolerant(bench: Bench, seconds: float) -> tuple[float, float]:
    """MiB/s of all cores' threads, and the share of batches that were refused, as a fallback would have them."""
    failures: list[int] = []
    units = slices(bench.info.batch_bytes)
    with ExitStack() as stack:
        instances = [stack.enter_context(bench.opened()) for _ in range(cores())]
        rate = measure_rate(instances, units, _counting(failures), seconds)
    good = rate.calls - len(failures)
    return rate.mib_per_s * good / max(1, rate.calls), len(failures) / max(1, rate.calls)


def _counting(failures: list[int]) -> Work:
    """Compresses; a batch that is refused or late is counted, as a fallback would have it."""

    def call(instance: Backend, unit: Buffer) -> int:
        try:
            return len(instance.compress(unit))
        except BackendError:
            failures.append(1)
            time.sleep(0.005)
            return 0

    return call


@check(
    CHECKS,
    "endurance.soak",
    "its rate and its memory stay as they are (--soak MINUTES for longer)",
    "cards grow hot and throttle, drivers fragment: a minute's figure is not an hour's",
    limit_s=90,
)
def _soak(bench: Bench) -> Found:
    rows: list[dict[str, Any]] = []
    window_s = bench.job.soak_s / _WINDOWS
    units = slices(bench.info.batch_bytes)
    compared = calls = 0
    failures: list[int] = []
    with ExitStack() as stack:
        instances = [stack.enter_context(bench.opened()) for _ in range(cores())]
        measure_rate(instances, units, _counting(failures), min(1.0, bench.job.soak_s / 6))
        failures.clear()
        began_s = time.monotonic()
        for number in range(_WINDOWS):
            rate = measure_rate(instances, units, _counting(failures), window_s)
            calls += rate.calls
            rss_mib = _rss_bytes() / MIB
            rows.append(
                {
                    "t_s": round(time.monotonic() - began_s, 3),
                    "mib_per_s": round(rate.mib_per_s, 1),
                    "rss_mib": round(rss_mib, 1),
                }
            )
            if bench.info.stateful:
                continue  # to compare one, all before it would have to be restored
            data = units[number % len(units)]
            if bytes(instances[0].decompress(instances[0].compress(data), len(data))) != data:
                raise Failed(f"after {rows[-1]['t_s']:g} s a batch of {len(data)} bytes came back different")
            compared += 1
    third = _WINDOWS // 3
    # The best window of each: what else the host does makes windows slower, a throttled card has no fast one left.
    first, last = (max(row["mib_per_s"] for row in part) for part in (rows[:third], rows[-third:]))
    if not first:
        raise Failed("every batch of the first third was refused or late")
    growth_mib = max(0.0, rows[-1]["rss_mib"] - rows[third]["rss_mib"])
    values = (
        Value("soak_drift", round(last / first, 3), ""),
        Value("soak_growth_mib", round(growth_mib, 2), "MiB"),
        Value("soak_failures", round(len(failures) / max(1, calls), 4), ""),
    )
    evidence = (
        f"{rows[-1]['t_s']:.0f} s on {cores()} threads: up to {first:.0f} MiB/s in the first third, {last:.0f} in the last; memory "
        f"grew by {growth_mib:.1f} MiB; {compared} batches compared, {len(failures)} of {calls} "
        "refused or late"
    )
    return Found(evidence, values, {"windows": rows})
