"""What comparisons of like with like found: plain data, its JSON and its arithmetic. Schema 1: fields are added, never renamed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.results.document import Document
from harness.results.identity import Identity
from harness.results.inference import share_interval
from harness.results.metrics import METRICS
from harness.results.verdicts import LEVEL

__all__ = ["SCHEMA", "Alarm", "Pair", "Rate", "SelfTest", "load_selftest", "save_selftest"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Alarm:
    """A figure of a method that was called better or worse, though nothing had changed. ``ratio``: of the medians."""

    method: str
    metric: str
    word: str
    ratio: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two results of one scenario, compared. ``base``, ``new``: their folders; ``metrics``: which of them had a verdict."""

    base: str
    new: str
    metrics: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    spoiled_runs: int
    """Of both, runs that did not complete, or whose memory was wrong."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``alarms`` of ``comparisons``; ``allowed``: the share that the rule of comparisons allows at most."""

    alarms: int
    comparisons: int
    allowed: float

    @property
    def interval(self) -> tuple[float, float]:
        """The true share, with 95 %."""
        return share_interval(self.alarms, self.comparisons)

    @property
    def broken(self) -> bool:
        """Whether it is surely above what is allowed."""
        return self.interval[0] > self.allowed

    @property
    def needed(self) -> int:
        """So many comparisons, none with an alarm, would show that no more than what is allowed have one."""
        return math.ceil(math.log(0.05) / math.log1p(-self.allowed))


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The whole. ``planned``: comparisons that were asked for; ``pairs``: those that were made."""

    scenario: str
    methods: tuple[str, ...]
    repeats: int
    planned: int
    pairs: tuple[Pair, ...]
    identity: Identity
    schema: int = SCHEMA

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those with a verdict in any comparison, in their order."""
        return tuple(key for key in METRICS if any(key in pair.metrics for pair in self.pairs))

    @property
    def whole(self) -> Rate:
        """Of comparisons with any false alarm."""
        return Rate(sum(bool(pair.alarms) for pair in self.pairs), len(self.pairs), LEVEL * len(self.metrics))

    def rate(self, metric: str) -> Rate:
        """Of comparisons with a false alarm in this one."""
        own = [pair for pair in self.pairs if metric in pair.metrics]
        alarms = sum(any(alarm.metric == metric for alarm in pair.alarms) for pair in own)
        return Rate(alarms, len(own), LEVEL)

    @property
    def spoiled_runs(self) -> int:
        """In all pairs."""
        return sum(pair.spoiled_runs for pair in self.pairs)


_DOCUMENT = Document(SelfTest, "selftest", SCHEMA)
save_selftest, load_selftest = _DOCUMENT.save, _DOCUMENT.read
