"""Figures that others published of the experiments that shipped scenarios repeat. Data; measured by others, on other hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.results.result import Result
from harness.units import MIB
from reports import facts
from reports.numbers import amount

_KB, _GIB = 1 << 10, 1 << 30


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """``figures``: a metric's name -> what it was, in the unit in which a result stores it. ``worst``: the same, of the worst run.

    ``said``: how it was published, where that was in another unit than a page's. ``n``: of so many runs; None: not published.
    """

    method: str
    how: str
    figures: Mapping[str, float]
    worst: Mapping[str, float] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """``what``: experiment and set-up. The first row is what the others are compared with."""

    what: str
    rows: tuple[PublishedRow, ...]


def _row(method: str, how: str, total_ms: int, downtime_ms: int, transferred_kb: int) -> PublishedRow:
    figures = {"total_time_s": total_ms / 1e3, "downtime_s": downtime_ms / 1e3, "wire_bytes": transferred_kb * _KB}
    return PublishedRow(method, how, figures, said={"wire_bytes": f"{amount(transferred_kb)}\u00a0KB"})


_SETUP = "1 Gbit/s network, 2 GB guest, zlib level 1, 12 compression and 3 decompression threads"
_SITUATIONS = {
    limited: Published(
        f"bandwidth {'limited' if limited else 'unlimited'}: {_SETUP}",
        (
            _row("original", "QEMU alone", *original),
            _row("multi-thread compression", "QEMU, compress", *compressed),
        ),
    )
    for limited, original, compressed in (
        (False, (9536, 34, 307783), (4466, 22, 140445)),
        (True, (11720, 169, 311554), (5652, 21, 140189)),
    )
}
_KUBEVIRT = {
    "kubevirt-246": Published(
        "KubeVirt's VEP 246: 1 Gbit/s, guests of 50 GiB, Xeon 4210R",
        (
            PublishedRow("uncompressed", "KubeVirt", {"wire_bytes": 12 * _GIB}),
            PublishedRow(
                "zstd", "KubeVirt, level 1, 8 channels, about 0.4 core", {"wire_bytes": 3.3 * _GIB, "ratio": 3.6}
            ),
        ),
    ),
    "kubevirt-291": Published(
        "KubeVirt's VEP 291, averages: 1 Gbit/s, a cluster's node of 8 GiB that dirties about 650 Mbit/s; without compression, it "
        "compares downtime limits",
        (
            PublishedRow(
                "fixed limit",
                "KubeVirt, 300 ms",
                {"total_time_s": 112.4, "downtime_s": 0.451, "wire_bytes": 11862 * MIB},
                {"total_time_s": 161},
                n=10,
            ),
            PublishedRow(
                "rising limit",
                "KubeVirt, 150 ms to 1050 ms in 7 steps, at most one in 10 s",
                {"total_time_s": 92.2, "downtime_s": 0.611, "wire_bytes": 9694 * MIB},
                {"total_time_s": 98},
                n=10,
            ),
        ),
    ),
}


def published_for(result: Result) -> Published | None:
    """What was published of the experiment that this result's scenario repeats; None: nothing, or a stream was replayed."""
    if facts.is_replay(result):
        return None
    name = facts.file_name(result)
    if name in ("published", "throttled", "unlimited"):
        return _SITUATIONS[facts.limited(result)]
    return _KUBEVIRT.get(name)
