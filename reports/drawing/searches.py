"""How what a search looked for is drawn: the axes of a dirty rate and of a downtime limit."""

from __future__ import annotations

AXIS = {"dirty_rate": "Dirty rate (MiB/s)", "downtime_limit": "Downtime limit (ms)"}
_UNIT = {"dirty_rate": float(1 << 20), "downtime_limit": 1e-3}


def scaled(search: str, value: float) -> float:
    """``value`` in its axis's unit."""
    return float(f"{value / _UNIT[search]:.4g}")
