"""A migration in progress: what its source says of itself, and what is done to it on the way. Does not begin it, nor end it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.qemu.process import QemuProcess
from harness.qemu.qmp import Json

PAGE_BYTES = 4096
ENDED = frozenset({"completed", "failed", "cancelled", "postcopy-paused"})
"""A migration whose connection breaks in post-copy is paused, until somebody recovers it."""
_TELLING = ("MIGRATION", "MIGRATION_PASS")
"""Events: another state, which QEMU tells where the capability "events" is set; another pass."""
StatusCallback = Callable[["MigrationStatus"], None]


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One answer of ``query-migrate``. ``t_s`` counts from the migrate command; the rest are QEMU's own figures."""

    t_s: float
    status: str
    passes: int = 0
    remaining_bytes: int = 0
    transferred_bytes: int = 0
    dirty_rate_bytes_per_s: float = 0.0
    mbps: float = 0.0
    total_time_s: float = 0.0
    downtime_s: float | None = None
    error: str | None = None
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Watch:
    """A migration in progress, its start and its snapshots.

    ``pause_at_pass`` and ``switch_after_passes``: in which pass the guest is paused, and after how many it is to run at the
    destination (post-copy); None: never.
    """

    source: QemuProcess
    destination: QemuProcess
    interval_s: float
    on_status: StatusCallback | None
    pause_at_pass: int | None
    switch_after_passes: int | None
    paused: bool = False
    switched: bool = False
    began_at_s: float = 0.0
    began_monotonic_s: float = 0.0

    def begin(self) -> None:
        """Now, just before the migrate command."""
        self.began_at_s, self.began_monotonic_s = time.time(), time.monotonic()

    def look(self, *, tell: bool = True) -> MigrationStatus:
        """:raises QemuError: the source is gone."""
        raw: Json = self.source.qmp.execute("query-migrate")
        status = _read_status(raw, time.monotonic() - self.began_monotonic_s)
        if tell and self.on_status is not None:
            self.on_status(status)
        return status

    def until_ended(self, timeout_s: float) -> MigrationStatus:
        """The last look: at an end, good or bad, or after ``timeout_s``. Beside every ``interval_s`` it looks when QEMU says that
        there is something to see."""
        while True:
            telling = _TELLING if self._intervenes() else _TELLING[:1]
            heard = self.source.qmp.count(telling)  # what comes while we look is to be seen too
            status = self.look()
            if status.status in ENDED or status.t_s > timeout_s:
                return status
            self._intervene(status.passes)
            self.source.qmp.wait_more(telling, heard, self.interval_s)

    def _intervenes(self) -> bool:
        """Whether it matters when a pass begins."""
        pauses = self.pause_at_pass is not None and not self.paused
        return pauses or (self.switch_after_passes is not None and not self.switched)

    def _intervene(self, passes: int) -> None:
        """QEMU counts the pass that it is in."""
        if not self.paused and self.pause_at_pass is not None and passes >= self.pause_at_pass:
            self.source.qmp.execute("stop")
            self.paused = True
        if not self.switched and self.switch_after_passes is not None and passes > self.switch_after_passes:
            self.source.qmp.execute("migrate-start-postcopy")
            self.switched = True

    def said_at_s(self, side: QemuProcess, status: str) -> float | None:
        """When ``side`` said that it had come to ``status``; None: it did not, or says nothing (capability "events")."""
        events = side.qmp.events("MIGRATION", since_s=self.began_at_s)
        return next((event.at_s for event in events if event.data.get("status") == status), None)

    def clock_step_s(self) -> float:
        """How far the wall clock was moved meanwhile."""
        return (time.time() - self.began_at_s) - (time.monotonic() - self.began_monotonic_s)


def _read_status(raw: Json, t_s: float) -> MigrationStatus:
    ram: Json = raw.get("ram", {})
    page_bytes = ram.get("page-size", PAGE_BYTES)
    return MigrationStatus(
        t_s=t_s,
        status=str(raw.get("status", "none")),
        passes=ram.get("dirty-sync-count", 0),
        remaining_bytes=ram.get("remaining", 0),
        transferred_bytes=ram.get("transferred", 0),
        dirty_rate_bytes_per_s=ram.get("dirty-pages-rate", 0) * page_bytes,
        mbps=ram.get("mbps", 0.0),
        total_time_s=raw.get("total-time", 0) / 1e3,
        downtime_s=raw["downtime"] / 1e3 if "downtime" in raw else None,
        error=raw.get("error-desc"),
        raw=raw,
    )
