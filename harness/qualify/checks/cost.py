"""What it costs the host: CPU time beside ISA-L's and zlib's, whether a device does the work, and where a batch's time goes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from backends import registry
from backends.api import Backend, BackendError
from harness.hosts.limits import cores
from harness.qualify.check import Bench, Check, Failed, Found, NotApplicable, Value, check
from harness.qualify.load import Rate, compress, measure_rate, require_forgetful, slices
from harness.units import MIB

CHECKS: list[Check] = []

_REFERENCES = (("isal", 1), ("zlib", 1))
_FAILURES = ("errors", "timeouts", "mismatches", "refused")
_ROUNDING = 1.05
_STRETCHES = 5
_PARTS = ("slot_wait_s", "host_to_device_s", "queue_s", "kernel_s", "device_to_host_s")


@check(
    CHECKS,
    "cost.cpu",
    "it spares the host the CPU time that its class must spare",
    "a card that costs as much CPU as software buys nothing, however fast it is",
    limit_s=90,
)
def _cpu(bench: Bench) -> Found:
    require_forgetful(bench)
    seconds, rounds = (0.4, 3) if bench.quick else (2.0, 5)
    units = slices(bench.info.batch_bytes)
    totals: dict[str, list[Rate]] = {}
    with ExitStack() as stack:
        codecs = {bench.job.backend: bench.make(), **_references(bench)}
        for instance in codecs.values():
            stack.callback(instance.close)
            instance.open()
        for _ in range(rounds):
            for name, instance in codecs.items():
                totals.setdefault(name, []).append(measure_rate([instance], units, compress, seconds))
    rows = [_row(name, rates) for name, rates in totals.items()]
    own = rows[0]
    values = [Value("cpu_s_per_gib", own["cpu_s_per_gib"], "s/GiB"), Value("ratio", own["ratio"], "")]
    for row in rows[1:]:
        name = f"cpu_vs_{row['codec'].replace(' ', '_')}"
        values.append(Value(name, round(own["cpu_s_per_gib"] / row["cpu_s_per_gib"], 3), ""))
    evidence = "; ".join(
        f"{row['codec']}: {row['cpu_s_per_gib']:.2f} CPU s per GiB at ratio {row['ratio']:.2f}" for row in rows
    )
    return Found(f"one thread, {bench.info.batch_bytes >> 10} KiB batches: {evidence}", tuple(values), {"cpu": rows})


def _references(bench: Bench) -> dict[str, Backend]:
    found: dict[str, Backend] = {}
    for name, level in _REFERENCES:
        try:
            cls = registry.load(name)
            cls.probe()
        except BackendError:
            continue
        if name != bench.job.backend or level != bench.make().level:
            found[f"{name} {level}"] = cls(level)
    return found


def _row(name: str, rates: Sequence[Rate]) -> dict[str, Any]:
    raw, packed = sum(rate.raw_bytes for rate in rates), sum(rate.packed_bytes for rate in rates)
    return {
        "codec": name,
        "cpu_s_per_gib": round(sum(rate.cpu_s for rate in rates) / raw * (1 << 30), 4),
        "mib_per_s": round(raw / sum(rate.elapsed_s for rate in rates) / MIB, 1),
        "ratio": round(raw / packed, 4) if packed else 0.0,
    }


def _busy_share(rate: Rate) -> float:
    """CPU time in the time that one thread had a core or waited for a device."""
    return rate.cpu_s / (rate.elapsed_s - rate.queued_s)


@check(
    CHECKS,
    "cost.offload-real",
    "while it compresses, the host's cores are free: the device does the work",
    "a driver that quietly falls back to software passes every test of correctness",
)
def _offload_real(bench: Bench) -> Found:
    if bench.job.backend_class != "accelerator":
        raise NotApplicable(f"class {bench.job.backend_class}: the host's CPU does the work, and says so")
    units = slices(bench.info.batch_bytes)
    with bench.opened() as instance:
        measure_rate([instance], units, compress, 0.2)
        rates = [measure_rate([instance], units, compress, 0.25 if bench.quick else 2.0) for _ in range(_STRETCHES)]
    # Where others want the cores, software waits for them, and would look like a device.
    rate = max(rates, key=_busy_share)
    share = _busy_share(rate)
    words = f"one thread compressed for {rate.elapsed_s - rate.queued_s:.2f} s, and {rate.cpu_s:.2f} s of CPU time were used"
    return Found(f"{words} by this process and all that it started", (Value("host_busy_share", round(share, 3), ""),))


@check(
    CHECKS,
    "cost.offload",
    "its counters tell where a batch's time goes, and agree with what was given to it",
    "copies over PCIe, queues and hand-overs, not kernels, decide whether offload pays",
)
def _offload(bench: Bench) -> Found:
    rate, threads, counted = _counted(bench)
    parts_s = {name: counted[name] for name in _PARTS if name in counted}
    if not parts_s:
        raise NotApplicable(f"it counts none of offload_{', offload_'.join(_PARTS)}")
    batches = counted.get("batches", 0)
    failed = sum(counted.get(name, 0) for name in _FAILURES)
    if batches + failed != rate.calls or not batches:
        raise Failed(f"{rate.calls} batches were given to it, and it counted {batches:g} and {failed:g} that failed")
    waited_s = rate.elapsed_s * threads
    if sum(parts_s.values()) > waited_s * _ROUNDING:
        raise Failed(f"its parts add up to {sum(parts_s.values()):.2f} s, of {waited_s:.2f} s that threads waited")
    parts_ms = {name.removesuffix("_s").replace("_", " "): s / batches * 1e3 for name, s in parts_s.items()}
    parts_ms["hand-over"] = max(0.0, waited_s / batches * 1e3 - sum(parts_ms.values()))
    told = ", ".join(f"{part} {ms:.2f} ms" for part, ms in parts_ms.items())
    rows = [{"part": part, "ms": round(ms, 4)} for part, ms in parts_ms.items()]
    return Found(f"{batches:g} batches, {threads} threads; of each: {told}", (), {"parts": rows})


def _counted(bench: Bench) -> tuple[Rate, int, dict[str, float]]:
    """What so many threads did, and what all their instances counted."""
    units = slices(bench.info.batch_bytes)
    counted: dict[str, float] = {}
    with ExitStack() as stack:
        instances = [stack.enter_context(bench.opened()) for _ in range(cores() + 1)]
        rate = measure_rate(instances, units, compress, 1.0 if bench.quick else 10.0)
        for instance in instances:
            for name, number in instance.counters().items():
                counted[name.removeprefix("offload_")] = counted.get(name.removeprefix("offload_"), 0) + number
    return rate, len(instances), counted
