"""A source and a destination QEMU with one guest between them: started, migrated, and their memories compared. Knows no kind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from harness.errors import QemuError
from harness.guests.console import Consoles
from harness.guests.contract import Crossing, Ends, Glimpse, OnGlimpse, Place
from harness.guests.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s
from harness.guests.native import MethodPlan, Scalar, apply_plan
from harness.guests.qemu_kind import CONSOLE, QemuKind, Writes
from harness.guests.verify import verify
from harness.qemu.migration import MigrationOutcome, MigrationStatus, listen, migrate
from harness.qemu.process import QemuProcess
from harness.results.doubt import Doubt
from harness.results.doubts import ClockStep, SlowResume

__all__ = ["QemuEnds", "start_ends"]

_UP_TIMEOUT_S = 60.0
_FIRST_BEATS = 20  # 0.2 s of an undisturbed guest before a migration
_BEATS_AFTER = 12  # two more than the silence around a migration is measured over
_AFTER_TIMEOUT_S = 10.0
_INSIDE_QEMU = ("compress", "xbzrle", "multifd")
"""Capabilities under which QEMU's own byte count is not that of the raw stream, so that no ratio can be told."""


class QemuEnds(Ends):
    """Both QEMUs and the reader of both consoles; made by ``start_ends``."""

    def __init__(self, kind: QemuKind, plan: MethodPlan, place: Place, qemus: Mapping[str, QemuProcess]) -> None:
        self.kind = kind
        self.source, self.destination = qemus["source"], qemus["destination"]
        self.consoles = Consoles({name: kind.feed() for name in qemus})
        self.parameters: Mapping[str, Scalar] = {}
        self.cpu_s = {"source_qemu": self.source.cpu_s, "destination_qemu": self.destination.cpu_s}
        self.qmp = self.source.qmp_for_others
        self.confirms = plan.source.capabilities.get("return-path", False)
        self._raw = not any(plan.source.capabilities.get(name) for name in _INSIDE_QEMU)
        self._run_dir = place.run_dir
        self._before: Writes
        self._outcome: MigrationOutcome

    def listen(self, address: str) -> str:
        """As QEMU does."""
        return listen(self.destination, address)

    def begin(self) -> None:
        """Let the guest go on the source and wait until it does its work and beats undisturbed."""
        self.run_guest(_UP_TIMEOUT_S)
        self._before = self.kind.written(self.consoles, "source")

    def run_guest(self, timeout_s: float) -> None:
        """Without asking it anything. :raises QemuError: it does not get there in time; its own words."""
        began_s = time.monotonic()
        self.source.qmp.execute("cont")
        self.kind.wait_ready(self.consoles, began_s, timeout_s)
        self.consoles.wait_beats("source", _FIRST_BEATS, timeout_s, since_s=time.monotonic())

    def wait_after_resume(self, resume_monotonic_s: float, timeout_s: float = _AFTER_TIMEOUT_S) -> None:
        """Wait until the destination's guest has beaten often enough for its silence to be measured.

        :raises QemuError: it does not: it came over dead.
        """
        self.consoles.wait_beats("destination", _BEATS_AFTER, timeout_s, since_s=resume_monotonic_s)

    def migrate(self, address: str, timeout_s: float, on_glimpse: OnGlimpse) -> Crossing:
        """Until both sides say that it has ended."""
        outcome = migrate(
            self.source,
            self.destination,
            address,
            timeout_s=timeout_s,
            on_status=lambda status: on_glimpse(_glimpse(status)),
        )
        self._outcome, last = outcome, outcome.last
        return Crossing(
            gave_up=outcome.reason if outcome.status == "timeout" else None,
            stream_bytes=last.transferred_bytes,
            raw=self._raw,
            passes=last.passes,
            counters=_counters(last),
        )

    def examine(self, crossing: Crossing) -> Crossing:
        """How long the guest stood still, what it wrote, and whether all of its memory arrived."""
        outcome = self._outcome
        if crossing.gave_up is not None:
            after = self.kind.written(self.consoles, "source") if outcome.source_runs else self._before
            rate = self._before.rate_bytes_per_s(after, 0.0)
            return replace(crossing, guest_dirty_rate_bytes_per_s=rate, doubts=_doubts(outcome, None))
        if outcome.resume_at_s is None or outcome.stop_at_s is None:
            raise QemuError("the guest did not run when it was migrated, so there is no downtime to measure")
        stopped_s = max(0.0, outcome.resume_at_s - outcome.stop_at_s)
        rate = self._before.rate_bytes_per_s(self.kind.written(self.consoles, "destination"), stopped_s)
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        self.wait_after_resume(resume_s)
        gap_s = longest_silence_s(self.consoles.beats_at_s(), outcome.began_monotonic_s, resume_s)
        checked = verify(
            self.source.qmp,
            self.destination.qmp,
            self.kind.layout,
            self._run_dir,
            guest_checks=self.kind.check(self.consoles),
        )
        downtime_s = stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s)
        return replace(
            crossing,
            wrong=None if checked.ok else "the memory did not arrive whole: " + "; ".join(checked.lines),
            total_time_s=outcome.total_time_s,
            downtime_s=downtime_s,
            downtime_reported_s=outcome.last.downtime_s,
            heartbeat_gap_s=gap_s,
            guest_dirty_rate_bytes_per_s=rate,
            verified=checked.ok,
            verification=checked.lines,
            doubts=_doubts(outcome, downtime_s),
        )


@contextmanager
def start_ends(
    kind: QemuKind, argv: list[str], plan: MethodPlan, place: Place, *, steered: bool = False
) -> Iterator[QemuEnds]:
    """Both QEMUs, set up as planned and read back, the source's guest loaded and not yet running; stopped at the end.

    ``argv``: what both share, beginning with the binary. Logs are ``source.log`` and ``destination.log`` in the place's folder.
    ``steered``: the source has a second QMP socket, for a sender.

    :raises QemuError: a QEMU refuses or dies, or a setting did not take.
    """
    arguments = {
        "source": [*plan.source.argv, *kind.arguments(boots=True), "-S"],
        "destination": [*plan.destination.argv, *kind.arguments(boots=False), "-incoming", "defer"],
    }
    with ExitStack() as stack:
        qemus = {
            name: stack.enter_context(
                QemuProcess(
                    name,
                    [*argv, *arguments[name]],
                    run_dir=place.run_dir,
                    host=host,
                    chardevs=[CONSOLE],
                    second_qmp=steered and name == "source",
                )
            )
            for name, host in (("source", place.source), ("destination", place.destination))
        }
        ends = QemuEnds(kind, plan, place, qemus)
        stack.callback(ends.consoles.close)
        ends.consoles.connect({name: qemu.chardev_path(CONSOLE) for name, qemu in qemus.items()})
        ends.parameters = apply_plan(plan, ends.source.qmp, ends.destination.qmp)
        yield ends


def _glimpse(status: MigrationStatus) -> Glimpse:
    return Glimpse(
        status.t_s,
        status.passes,
        status.remaining_bytes,
        status.dirty_rate_bytes_per_s,
        status.transferred_bytes,
    )


def _counters(last: MigrationStatus) -> dict[str, int | float]:
    """What QEMU says of itself."""
    ram = last.raw.get("ram", {})
    pages = {f"qemu_{key}_pages": ram[key] for key in ("normal", "duplicate") if isinstance(ram, dict) and key in ram}
    return {"qemu_total_time_s": last.total_time_s, **pages}


def _doubts(outcome: MigrationOutcome, downtime_s: float | None) -> tuple[Doubt, ...]:
    found: list[Doubt] = []
    claimed_s = outcome.last.downtime_s
    if abs(step_s := outcome.clock_step_s) > 0.001:
        found.append(ClockStep(step_s))
    if downtime_s and claimed_s is not None and downtime_s > claimed_s + 0.1:
        found.append(SlowResume(downtime_s - claimed_s))
    return tuple(found)
