"""The published figures of multi-threaded compression that both situations reproduce. Data; measured by others."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED_SETUP", "Published", "published_for"]

PUBLISHED_SETUP = "1 Gbit/s network, 2 GB guest, zlib level 1, 12 compression and 3 decompression threads"


@dataclass(frozen=True, slots=True)
class Published:
    """One published row: QEMU's own units, milliseconds and kilobytes of 1024 bytes."""

    method: str
    total_ms: int
    downtime_ms: int
    transferred_kb: int


_SITUATIONS = {
    "bandwidth unlimited": (Published("original", 9536, 34, 307783), Published("compressed", 4466, 22, 140445)),
    "bandwidth limited": (Published("original", 11720, 169, 311554), Published("compressed", 5652, 21, 140189)),
}


def published_for(*, limited: bool) -> tuple[str, tuple[Published, Published]]:
    """The situation's name and its two rows, original first."""
    name = "bandwidth limited" if limited else "bandwidth unlimited"
    return name, _SITUATIONS[name]
