"""The charts of a certificate that has rows of every kind."""

from __future__ import annotations

CHARTS = [
    "surface-compress",
    "surface-decompress",
    "latency",
    "cpu",
    "offload",
    "soak-mib_per_s",
    "soak-rss_mib",
    "migration",
]
