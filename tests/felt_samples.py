"""A result whose guest counts its work: made by what measures a real one, from counts that are made up."""

from __future__ import annotations

from dataclasses import replace

import report_samples as samples

from harness.guests.work import AFTER_S, felt
from harness.results.result import Result, Run
from harness.results.stats import summarise

__all__ = ["felt_result"]

_PACE = 5120  # 20 MiB/s in pages
_SLOWED = {"original": 1.0, "qemu-compress-zlib-1": 0.55, "zlib-1": 0.9}
"""How fast the guest works while it is migrated, of how fast it did before; not listed: nearly undisturbed."""


def _worked(run: Run) -> Run:
    over_s = run.total_time_s
    if over_s is None or run.downtime_s is None:
        return run
    stop_s, pace = over_s - run.downtime_s, _SLOWED.get(run.method, 0.97)

    def done(ran_s: float) -> float:
        return _PACE * (ran_s if ran_s < 0 else ran_s - min(ran_s, stop_s) * (1 - pace))

    heard = [(tick / 10 + 0.003 * (tick % 3), done(tick / 10)) for tick in range(-10, int((stop_s + AFTER_S) * 10) + 3)]
    series = [(at_s if at_s <= stop_s else at_s + run.downtime_s, round(count)) for at_s, count in heard]
    work = felt(series, "page write", stop_s, over_s, over_s)
    return replace(run, work=work, vcpu_s=0.4 * over_s)


def _switched(run: Run) -> Run:
    """One method switches to post-copy and throttles its guest before: the figures that few methods have."""
    if run.method != "qemu-compress-zlib-1":
        return run
    switched = {"qemu_postcopy_s": 2.412, "qemu_postcopy_vcpu_blocked_s": 1.0312, "qemu_postcopy_latency_s": 0.00231}
    switched |= {"qemu_page_request_p50_s": 0.0019, "qemu_page_request_p99_s": 0.0047}
    counted = {"qemu_postcopy_requests": 104_211 + run.repeat, "qemu_throttle_share": 0.99}
    return replace(run, counters={**run.counters, **switched, **counted})


def felt_result() -> Result:
    """The throttled scenario, its guest slowed down by some methods: with every column that a page can have."""
    result = samples.live(extras=False)
    runs = tuple(_switched(_worked(run)) for run in result.runs)
    return replace(result, runs=runs, summary=summarise(runs, "original"))
