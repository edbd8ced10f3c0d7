"""The methods of a scenario that names none, as plain tables: what its file would have said. Knows no rule of a method."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_ZSTD = {"multifd-channels": 2, "multifd-compression": "zstd"}

USUAL_METHODS: tuple[Mapping[str, Any], ...] = (
    {"name": "original", "engine": "qemu", "baseline": True},
    {
        "name": "qemu-multifd-zstd-1",
        "engine": "qemu",
        "capabilities": ["multifd"],
        "source": {**_ZSTD, "multifd-zstd-level": 1},
        "destination": _ZSTD,
    },
    {"name": "zstd-1", "engine": "pageferry", "backend": "zstd"},
    {"name": "zstd-long-1", "engine": "pageferry", "backend": "zstd-long"},
    {"name": "auto", "engine": "pageferry", "backend": "auto"},
)
"""QEMU alone, QEMU's own best, and the pair with one codec, with one that keeps a history, and with the choice left to it. One that
is not installed is skipped with its reason, as everywhere."""


def with_usual_methods(doc: dict[str, Any]) -> bool:
    """Written into a scenario's document that has none. Gives whether it had none."""
    if "method" in doc:
        return False
    doc["method"] = [copy.deepcopy(dict(table)) for table in USUAL_METHODS]
    return True
