"""What each instance counts of its batches on a device, and what each number says."""

from __future__ import annotations

from collections.abc import MutableMapping

COUNTERS = (
    "batches", "raw_bytes", "joined_bytes", "blocks", "zero_blocks", "stored_blocks", "host_to_device_s", "kernel_s",
    "device_to_host_s", "queue_s", "wait_s", "slot_wait_s", "worker_cpu_s", "verified_batches", "errors", "timeouts", "deaths",
    "mismatches", "refused", "restarts",
)  # fmt: skip
"""Each batch that was asked for is in one of batches, errors, timeouts, mismatches and refused. ``deaths`` are workers that ended
by themselves, ``restarts`` workers that followed another; both are told to one instance only."""

Counts = MutableMapping[str, int | float]
