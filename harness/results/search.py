"""What a search for a method's frontier tried and found: plain data with units. Knows no runs."""

from __future__ import annotations

from dataclasses import dataclass

from harness.units import format_bytes, format_duration

__all__ = ["Attempt", "Frontier", "value_text"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a run of a search tried, and what it showed.

    ``search``: "dirty_rate", then ``value`` is bytes/s, or "downtime_limit", then it is seconds. ``converged``: None where
    the run failed and says nothing. ``why`` it did not converge; ``guest_limited``: because the guest wrote too slowly.
    """

    search: str
    value: float
    converged: bool | None
    why: str = ""
    guest_limited: bool = False

    @property
    def tried(self) -> str:
        """``dirty rate 112 MiB/s``."""
        return f"{self.search.replace('_', ' ')} {value_text(self.search, self.value)}"


def value_text(search: str, value: float) -> str:
    """A search's value with its unit."""
    return format_duration(value) if search == "downtime_limit" else f"{format_bytes(value)}/s"


@dataclass(frozen=True, slots=True)
class Frontier:
    """Where one method stops converging, as far as the runs of its search show.

    ``converged_at`` and ``failed_at`` are the ends of the bracket; None: no value was seen to converge, or to fail.
    ``converged_runs`` and ``failed_runs``: how many runs at that end say so, of how many. ``downtimes_s`` and
    ``dirty_rates_bytes_per_s`` are of those that converged at ``converged_at``: STOP to RESUME, and what the guest wrote.
    ``guest_limited``: at ``failed_at`` the guest wrote too slowly, so that the method's own frontier may lie beyond.
    ``note``: why the search did not end as it should. ``vs_baseline``: ratio of ``converged_at``, with what both brackets
    allow (None: without a bound); ``downtime_vs_baseline``: ratio of median downtimes.
    """

    method: str
    search: str
    converged_at: float | None
    failed_at: float | None
    converged_runs: tuple[int, int] = (0, 0)
    failed_runs: tuple[int, int] = (0, 0)
    downtimes_s: tuple[float, ...] = ()
    dirty_rates_bytes_per_s: tuple[float, ...] = ()
    runs: int = 0
    finished: bool = False
    guest_limited: bool = False
    note: str = ""
    vs_baseline: float | None = None
    vs_baseline_range: tuple[float | None, float | None] = (None, None)
    downtime_vs_baseline: float | None = None
