"""What both QEMUs said of a migration, as counters of the run: pages, how far the guest was slowed down, post-copy's page faults.

Names are ``qemu_`` and QEMU's own, in base units. A QEMU that lacks a figure gives no counter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.qemu.migration import MigrationOutcome
from harness.qemu.page_requests import PageRequests
from harness.qemu.progress import MigrationStatus
from harness.qemu.qmp import Json

_PER_SOURCE_FIGURE = {"postcopy-requests": "qemu_postcopy_requests", "postcopy-bytes": "qemu_postcopy_bytes"}
_SECONDS_EACH_MS, _SECONDS_EACH_US, _SECONDS_EACH_NS = 1e-3, 1e-6, 1e-9


@dataclass(slots=True)
class Seen:
    """What QEMU shows only while it migrates, over all looks. ``dirty_rate_bytes_per_s``: the last that was told.

    ``most``: the highest share of its time in which the guest was kept from running (auto-converge), and the longest that
    dirty-limit held a processor at a time.
    """

    dirty_rate_bytes_per_s: float | None = None
    most: dict[str, float] = field(default_factory=dict)

    def look(self, status: MigrationStatus) -> None:
        """At one answer."""
        self.dirty_rate_bytes_per_s = status.dirty_rate_bytes_per_s or self.dirty_rate_bytes_per_s
        raw: Json = status.raw
        for key, name, unit in (
            ("cpu-throttle-percentage", "qemu_throttle_share", 1e-2),
            ("dirty-limit-throttle-time-per-round", "qemu_dirty_limit_throttle_s", _SECONDS_EACH_US),
        ):
            if key in raw:
                self.most[name] = max(self.most.get(name, 0.0), raw[key] * unit)


def counters(outcome: MigrationOutcome, seen: Seen) -> dict[str, int | float]:
    """What the source said."""
    ram: Json = outcome.last.raw.get("ram", {})
    pages = {f"qemu_{key}_pages": ram[key] for key in ("normal", "duplicate") if key in ram}
    return {"qemu_total_time_s": outcome.last.total_time_s, **pages, **seen.most}


def faults(outcome: MigrationOutcome, destination: Json) -> dict[str, int | float]:
    """Of a migration that went over to post-copy; ``destination``: its answer to query-migrate after it completed.

    How long its processors waited for pages comes with the capability postcopy-blocktime, the latency with QEMU 10.1. QEMU misses
    a fault that KVM has a thread of its own take for the processor: where it found none at all, that is no figure.
    """
    if outcome.switched_at_s is None or outcome.total_time_s is None or outcome.resume_at_s is None:
        return {}
    ram: Json = outcome.last.raw.get("ram", {})
    found: dict[str, int | float] = {
        "qemu_switch_s": outcome.switched_at_s - outcome.began_at_s,
        "qemu_postcopy_s": max(0.0, outcome.began_at_s + outcome.total_time_s - outcome.resume_at_s),
    }
    found |= {name: ram[key] for key, name in _PER_SOURCE_FIGURE.items() if key in ram}
    if waited := max(destination.get("postcopy-vcpu-blocktime", [0])):
        found["qemu_postcopy_blocked_s"] = destination["postcopy-blocktime"] * _SECONDS_EACH_MS
        found["qemu_postcopy_vcpu_blocked_s"] = waited * _SECONDS_EACH_MS
    if latency := destination.get("postcopy-latency"):
        found["qemu_postcopy_latency_s"] = latency * _SECONDS_EACH_NS
    return found


def request_times(traced: PageRequests | None) -> dict[str, int | float]:
    """Of pages that the destination asked for; ``traced``: None where none was, or nobody wrote it down."""
    if traced is None:
        return {}
    found: dict[str, int | float] = {
        "qemu_page_requests_answered": traced.answered,
        "qemu_page_request_p50_s": traced.p50_s,
        "qemu_page_request_longest_s": traced.longest_s,
    }
    return found if traced.p99_s is None else {**found, "qemu_page_request_p99_s": traced.p99_s}
