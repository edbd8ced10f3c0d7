"""A plausible result of offloading, with each way in which a device fails. See ``report_samples``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from report_samples import ENVIRONMENT, LIVE, run, scenario, summarised

from harness.results.doubts import Said
from harness.results.result import Result, Run

# name: method fields, then batches that the device compressed, that fell back, ms per batch in the six phases, faults
DEVICES: dict[str, tuple[dict[str, Any], tuple[float, ...], dict[str, int]]] = {
    "opencl-64k": ({"block": "64KiB"}, (340, 0, 0.12, 0.31, 0.08, 2.45, 0.21, 0.62), {}),
    "opencl-4k": (
        {"block": "4KiB"},
        (328, 12, 0.15, 0.33, 0.1, 3.2, 0.36, 0.7),
        {"errors": 2, "timeouts": 1, "deaths": 1, "refused": 8, "restarts": 1},
    ),
    "opencl-late": ({"timeout_ms": 1}, (0, 340, 0, 0, 0, 0, 0, 0), {"timeouts": 3, "refused": 337, "restarts": 3}),
}
BATCH_BYTES = 1_003_000


def offload_counters(batches: int, fallen: int, ms: Sequence[float], faults: dict[str, int]) -> dict[str, int | float]:
    """The pair's counters of a run through an OpenCL device; ``ms`` as in ``DEVICES``."""
    slot, to_device, queued, kernel, to_host, hand_over = (each * batches / 1e3 for each in ms)
    device = {
        "batches": batches,
        "raw_bytes": batches * BATCH_BYTES,
        "joined_bytes": batches * BATCH_BYTES // 3,
        "blocks": batches * 16,
        "zero_blocks": batches * 4,
        "stored_blocks": batches // 10,
        "host_to_device_s": to_device,
        "kernel_s": kernel,
        "device_to_host_s": to_host,
        "queue_s": queued,
        "wait_s": to_device + queued + kernel + to_host + hand_over,
        "slot_wait_s": slot,
        "worker_cpu_s": 0.0009 * batches,
        "verified_batches": batches // 64,
        **{kind: faults.get(kind, 0) for kind in ("errors", "timeouts", "deaths", "mismatches", "refused", "restarts")},
    }
    return {
        "fallbacks": fallen,
        "sender_batches": batches + fallen,
        "sender_fallback_bytes": fallen * BATCH_BYTES,
        **{f"sender_offload_{name}": value for name, value in device.items()},
    }


def _offloaded(whole: Run, backend: str, counters: dict[str, int | float]) -> Run:
    fallen = counters["fallbacks"]
    doubt = (
        f"{fallen} of {counters['sender_batches']} batches were compressed by isal:1, not by {backend}: device error -5"
    )
    return replace(
        whole,
        counters=counters,
        doubts=(Said(doubt),) if fallen else (),
        parameters={**whole.parameters, "sender.backend": backend, "sender.fallback": "isal:1"},
    )


def offload(repeats: int = 5) -> Result:
    """Three OpenCL methods and a QAT card beside the CPU: one clean, one with faults in two runs, one that did nothing."""
    random = np.random.default_rng(19)
    figures = dict.fromkeys((*DEVICES, "qatzip-1"), LIVE["isal-1"][1])
    figures |= {name: LIVE[name][1] for name in ("original", "isal-1")}
    methods: list[dict[str, Any]] = [{"name": name, **LIVE[name][0]} for name in ("original", "isal-1")]
    methods += [
        {"name": name, "engine": "pageferry", "backend": "opencl", "threads": 2, "options": options}
        for name, (options, _, _) in DEVICES.items()
    ]
    methods.append({"name": "qatzip-1", "engine": "pageferry", "backend": "qatzip", "level": 1, "threads": 2})
    runs = []
    for repeat in range(repeats + 1):
        for method in methods:
            name = str(method["name"])
            whole = run(random, name, repeat, figures[name], warmup=repeat == 0)
            if name in DEVICES:
                _, (batches, fallen, *ms), faults = DEVICES[name]
                trouble = name != "opencl-4k" or repeat in (2, 3)
                kept = int(batches if trouble else batches + fallen)
                counters = offload_counters(
                    kept,
                    int(fallen) if trouble else 0,
                    [m * random.normal(1, 0.03) for m in ms],
                    faults if trouble else {},
                )
                whole = _offloaded(whole, "opencl", counters)
            elif name == "qatzip-1":
                qat = {"hardware_calls": 322, "software_calls": 18, "submissions": 340, "errors": 0}
                counters = {"fallbacks": 0, "sender_batches": 340, **{f"sender_qat_{k}": v for k, v in qat.items()}}
                whole = _offloaded(whole, "qatzip", counters)
            runs.append(whole)
    shape = scenario(
        methods,
        name="offload",
        description="1 Gbit/s: does a device pay, and what does the CPU get back?",
        repeats=repeats,
    )
    return summarised(Result(shape, ENVIRONMENT, tuple(runs)))
