"""What makes a figure other than it seems: each kind of doubt once, with its values, what it is about, and its sentence.

Whoever sees a reason makes one; a result keeps it; pages group by its fields. Knows no result, and reads no sentence again.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.results.doubt import Doubt
from harness.results.doubts.of_guests import Emulated, NeverSwitched, NotPreallocated, SlowResume, UncertainLoss
from harness.results.doubts.of_machines import (
    ClocksApart,
    ClockStep,
    Loaded,
    ProcessorsDiffer,
    Throttled,
    WithinClocks,
    clock_doubts,
)
from harness.results.doubts.of_pairs import Fallback, NoPassShorter, Opaque, PackedByQemu, SteeringEnded, Unencrypted
from harness.results.doubts.of_repeats import (
    Drifting,
    FewReplays,
    FewRuns,
    Incomplete,
    Outlier,
    Spread,
    TwoModes,
    UnequalWork,
    Unverified,
)
from harness.results.doubts.of_searches import GuestLimited, Unsettled
from harness.results.doubts.untyped import Said

__all__ = [
    "KINDS",
    "ClockStep",
    "ClocksApart",
    "Drifting",
    "Emulated",
    "Fallback",
    "FewReplays",
    "FewRuns",
    "GuestLimited",
    "Incomplete",
    "Loaded",
    "NeverSwitched",
    "NoPassShorter",
    "NotPreallocated",
    "Opaque",
    "Outlier",
    "PackedByQemu",
    "ProcessorsDiffer",
    "Said",
    "SlowResume",
    "Spread",
    "SteeringEnded",
    "Throttled",
    "TwoModes",
    "UncertainLoss",
    "Unencrypted",
    "UnequalWork",
    "Unsettled",
    "Unverified",
    "WithinClocks",
    "clock_doubts",
]

_ALL: tuple[type[Doubt], ...] = (
    Incomplete, FewRuns, FewReplays, Unverified, Spread, Outlier, TwoModes, Drifting, UnequalWork, Unsettled, GuestLimited,
    ClockStep, ClocksApart, WithinClocks, Loaded, ProcessorsDiffer, Throttled, SlowResume, NeverSwitched, Emulated, NotPreallocated,
    UncertainLoss, SteeringEnded,
    NoPassShorter, Opaque, PackedByQemu, Fallback, Unencrypted, Said,
)  # fmt: skip
KINDS: Mapping[str, type[Doubt]] = {kind.kind: kind for kind in _ALL}
"""By the name that files hold."""
