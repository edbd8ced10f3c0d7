"""What a search for a method's frontier tried and found: plain data with units. Knows no runs."""

from __future__ import annotations

from dataclasses import dataclass

from harness.units import format_duration, format_rate


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a run of a search tried, and what it showed."""

    search: str
    """"dirty_rate" or "downtime_limit"."""
    value: float
    """What was tried, in bytes a second or in seconds."""
    converged: bool | None
    """null: the run failed and says nothing."""
    why: str = ""
    """Why it did not converge."""
    guest_limited: bool = False
    """It did not because the guest wrote too slowly."""

    @property
    def tried(self) -> str:
        """``dirty rate 112 MiB/s``."""
        return f"{self.search.replace('_', ' ')} {value_text(self.search, self.value)}"


def value_text(search: str, value: float) -> str:
    """A search's value with its unit."""
    return format_duration(value) if search == "downtime_limit" else format_rate(value)


@dataclass(frozen=True, slots=True)
class Frontier:
    """Where one method stops converging, as far as the runs of its search show."""

    method: str
    """Its name in the scenario."""
    search: str
    """"dirty_rate", in bytes a second, or "downtime_limit", in seconds."""
    converged_at: float | None
    """This end of the bracket; null: no value was seen to converge."""
    failed_at: float | None
    """The other end; null: no value was seen to fail."""
    converged_runs: tuple[int, int] = (0, 0)
    """How many runs at ``converged_at`` say so, of how many."""
    failed_runs: tuple[int, int] = (0, 0)
    """The same at ``failed_at``."""
    downtimes_s: tuple[float, ...] = ()
    """Of those that converged at ``converged_at``: STOP to RESUME."""
    dirty_rates_bytes_per_s: tuple[float, ...] = ()
    """Of the same: what the guest wrote."""
    runs: int = 0
    """How many the search took."""
    finished: bool = False
    """Whether the bracket is as narrow as was asked for."""
    guest_limited: bool = False
    """At ``failed_at`` the guest wrote too slowly, so that the method's own frontier may lie beyond."""
    note: str = ""
    """Why the search did not end as it should."""
    vs_baseline: float | None = None
    """Ratio of ``converged_at``."""
    vs_baseline_range: tuple[float | None, float | None] = (None, None)
    """What both brackets allow of that ratio; null: without a bound."""
    downtime_vs_baseline: float | None = None
    """Ratio of median downtimes."""
