"""A source and a destination QEMU with one guest between them: started, migrated, and their memories compared. Knows no kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.errors import QemuError
from harness.guests.compare import Finding, Verdict
from harness.guests.console import Consoles
from harness.guests.contract import Crossing, Ends, Glimpse, OnGlimpse, Place
from harness.guests.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s
from harness.guests.figures import Seen, counters, faults, request_times
from harness.guests.native import MethodPlan, Scalar
from harness.guests.qemu_kind import QemuKind, Sides, Writes
from harness.guests.work import Moments, follow, wait_normal
from harness.qemu.migration import MigrationOutcome, listen, migrate
from harness.qemu.page_requests import page_requests
from harness.qemu.process import QemuProcess
from harness.qemu.progress import MigrationStatus
from harness.qemu.qmp import Json
from harness.qemu.vcpus import vcpu_s
from harness.results.doubt import Doubt
from harness.results.doubts import ClockStep, Emulated, NeverSwitched, SlowResume, clock_doubts
from harness.results.work import GuestWork

_SPARE_BEATS = 2
"""Waited for beyond those over which a silence is measured: the clocks of events and of beats are two."""
_AFTER_TIMEOUT_S = 60.0
TRACE = "destination.trace"
"""Where the destination writes down when a page was asked for, in its folder."""
_INSIDE_QEMU = ("compress", "xbzrle", "multifd")
"""Capabilities under which QEMU's own byte count is not that of the raw stream, so that no ratio can be told."""


class QemuEnds(Ends):
    """Both QEMUs and the reader of both consoles; made by ``start_ends``. ``doubts``: what of the set-up makes figures doubtful."""

    def __init__(self, kind: QemuKind, plan: MethodPlan, place: Place, qemus: Mapping[str, QemuProcess]) -> None:
        self.kind = kind
        self.source, self.destination = qemus["source"], qemus["destination"]
        self.consoles = Consoles({name: kind.feed() for name in qemus})
        self.sides = Sides(qemus, self.consoles, place)
        self.parameters: Mapping[str, Scalar] = {}
        self.doubts: tuple[Doubt, ...] = ()
        self.cpu_s = {"source_qemu": self.source.cpu_s, "destination_qemu": self.destination.cpu_s}
        self.qmp = self.source.qmp_for_others
        self.confirms = plan.source.capabilities.get("return-path", False)
        self._plan = plan
        self._raw = not any(plan.source.capabilities.get(name) for name in _INSIDE_QEMU)
        self._before: Writes | None = None
        self._seen = Seen()
        self._ready_s = 0.0
        self._once_it_runs: Callable[[], None] = lambda: None
        self._vcpu_s: float | None = None
        self._outcome: MigrationOutcome

    def listen(self, address: str) -> str:
        """As QEMU does."""
        return listen(self.destination, address)

    def encrypt(self, folder: str, name: str) -> tuple[Doubt, ...]:
        """QEMU's own; the source's once its guest runs: see ``begin``.

        :raises QemuError: this one was built without GnuTLS; or what it says of the certificates.
        """
        self._encrypt(self.destination, "server", folder, {"tls-creds": "tls"})
        names: dict[str, Json] = {"tls-creds": "tls", "tls-hostname": name}
        self._once_it_runs = lambda: self._encrypt(self.source, "client", folder, names)
        return ()

    def _encrypt(self, qemu: QemuProcess, endpoint: str, folder: str, names: dict[str, Json]) -> None:
        asked: dict[str, Json] = {"qom-type": "tls-creds-x509", "id": "tls", "dir": str(qemu.folder / folder)}
        qemu.qmp.execute("object-add", **asked, endpoint=endpoint, **{"verify-peer": True})
        qemu.qmp.execute("migrate-set-parameters", **names)
        read: Json = qemu.qmp.execute("query-migrate-parameters")
        if {key: read.get(key) for key in names} != names:
            raise QemuError(f"{qemu.name}: QEMU did not keep {names}, so that it would migrate unencrypted")
        self.parameters = {**self.parameters, f"{qemu.name}.tls-creds": "tls"}

    def begin(self) -> None:
        """Let the guest go on the source and wait until it does its work and beats undisturbed.

        Only then is the source given certificates. QEMU 7.2 hands an ELF kernel's header to the firmware from a dead frame on its
        main thread's stack (``FW_CFG_SETUP_DATA`` in hw/i386/x86.c), which GnuTLS overwrites: 8 of 38 guests that had yet to boot
        found no kernel (2-core Xeon, 2026-11-28), and none of 120 without, or with them on the destination alone.
        """
        self.run_guest(self.kind.ready_timeout_s)
        self._once_it_runs()
        self._before = self.kind.written(self.sides, "source")

    def run_guest(self, timeout_s: float) -> None:
        """Without asking it anything. :raises QemuError: it does not get there in time; its own words."""
        began_s = time.monotonic()
        self.source.qmp.execute("cont")
        self.kind.wait_ready(self.sides, began_s, timeout_s)
        self._ready_s = time.monotonic()
        if self.kind.pulse is not None:
            self.consoles.wait_beats("source", self.kind.pulse.before, timeout_s, since_s=time.monotonic())
        wait_normal(self.consoles, self._ready_s)

    def wait_after_resume(self, resume_monotonic_s: float, timeout_s: float = _AFTER_TIMEOUT_S) -> None:
        """Wait until the destination's guest does its work, and has beaten often enough for its silence to be measured.

        :raises QemuError: it does not: it came over dead.
        """
        if self.kind.pulse is not None:
            beats = self.kind.pulse.after + _SPARE_BEATS
            self.consoles.wait_beats("destination", beats, timeout_s, since_s=resume_monotonic_s)
        self.kind.wait_alive(self.sides)

    def migrate(self, address: str, timeout_s: float, on_glimpse: OnGlimpse) -> Crossing:
        """Until both sides say that it has ended."""

        def seen(status: MigrationStatus) -> None:
            self._seen.look(status)
            on_glimpse(_glimpse(status))

        self._vcpu_s = vcpu_s(self.source)
        outcome = migrate(
            self.source,
            self.destination,
            address,
            timeout_s=timeout_s,
            held=self.kind.holds,
            pause_at_pass=self._plan.pause_at_pass,
            switch_after_passes=self._plan.switch_after_passes,
            interval_s=self.source.host.look_every_s,
            on_status=seen,
        )
        self._outcome, last = outcome, outcome.last
        told: Json = self.destination.qmp.execute("query-migrate") if outcome.switched_at_s is not None else {}
        return Crossing(
            gave_up=outcome.reason if outcome.status == "timeout" else None,
            stream_bytes=last.transferred_bytes,
            raw=self._raw,
            passes=last.passes,
            counters={**counters(outcome, self._seen), **faults(outcome, told)},
        )

    def examine(self, crossing: Crossing) -> Crossing:
        """How long the guest stood still, what it wrote, and whether all of its memory arrived."""
        outcome = self._outcome
        if crossing.gave_up is not None:
            rate = self._dirty_rate("source", 0.0) if outcome.source_runs else None
            return replace(crossing, guest_dirty_rate_bytes_per_s=rate, doubts=self._doubts(None))
        if outcome.resume_at_s is None or outcome.stop_at_s is None:
            raise QemuError("the guest did not run when it was migrated, so there is no downtime to measure")
        checks, held_s = self._compare_held() if self.kind.holds else ((), 0.0)
        stopped_s = max(0.0, outcome.resume_at_s - outcome.stop_at_s)
        rate = self._dirty_rate("destination", stopped_s + held_s)
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        ended_s = outcome.began_monotonic_s + (outcome.total_time_s or 0.0)
        gap_s = self._live_again(resume_s if outcome.switched_at_s is None else ended_s, held_s, checks)
        work, spent_s = self._felt(resume_s, held_s) if all(check.ok for check in checks) else (None, None)
        checks = checks if self.kind.holds else self.kind.compare(self.sides)
        wrong = [check.line for check in checks if not check.ok]
        apart_s, error_s = self._clocks()
        downtime_s = stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s, error_s)
        return replace(
            crossing,
            counters={**crossing.counters, **self._request_times()},
            wrong=self._loss(wrong) if wrong else None,
            total_time_s=outcome.total_time_s,
            downtime_s=downtime_s,
            downtime_error_s=error_s or None,
            downtime_reported_s=outcome.last.downtime_s,
            heartbeat_gap_s=gap_s,
            guest_dirty_rate_bytes_per_s=rate,
            work=work,
            vcpu_s=spent_s,
            verified=not wrong if checks else None,
            verification=tuple(check.line for check in checks),
            doubts=(*self._doubts(downtime_s), *clock_doubts(apart_s, error_s, told=downtime_s is not None)),
        )

    def _request_times(self) -> dict[str, int | float]:
        if not self._plan.traces_requests:
            return {}
        return request_times(self.destination.host.call(page_requests, self.destination.folder / TRACE))

    def _clocks(self) -> tuple[float, float]:
        """How far the hosts' clocks are apart, and by how much the moments of one may be wrong on the other's."""
        found = [qemu.host.clock_offset() for qemu in (self.source, self.destination)]
        return found[1].seconds - found[0].seconds, sum(each.error_s for each in found)

    def _loss(self, wrong: Sequence[str]) -> str:
        """What did not arrive, and what is known of such losses without us."""
        lost = f"the memory did not arrive whole: {'; '.join(wrong)}"
        if not any(isinstance(doubt, Emulated) for doubt in self.doubts):
            return lost
        return f"{lost}; under TCG QEMU itself now and then does not send a guest's last writes, by any method: run it again"

    def _felt(self, resume_s: float, held_s: float) -> tuple[GuestWork | None, float | None]:
        """What the guest did meanwhile, and what its processors took; the destination's have run since they were made for this."""
        outcome = self._outcome
        began_s, stop_s = outcome.began_monotonic_s, wall_to_monotonic_s(outcome.stop_at_s or 0.0)
        moments = Moments(began_s, stop_s, resume_s, began_s + (outcome.total_time_s or 0.0), held_s)
        work = follow(self.consoles, self.kind.work_unit, self._ready_s, moments)
        source_s, destination_s = vcpu_s(self.source), vcpu_s(self.destination)
        if self._vcpu_s is None or source_s is None or destination_s is None:
            return work, None
        return work, source_s - self._vcpu_s + destination_s

    def _compare_held(self) -> tuple[Sequence[Verdict], float]:
        """What was found while both stood still, and for how long the guest was held for it."""
        checks = self.kind.compare(self.sides)
        asked_at_s = time.time()
        self.destination.qmp.execute("cont")
        resumed = self.destination.qmp.wait_event("RESUME", _AFTER_TIMEOUT_S, since_s=asked_at_s)
        held_s = resumed.at_s - (self._outcome.resume_at_s or 0.0)
        line = f"for that comparison the guest was held for {held_s:.2f} s, which no figure counts"
        return (*checks, Finding(ok=True, line=line)), held_s

    def _doubts(self, downtime_s: float | None) -> tuple[Doubt, ...]:
        """Those of the set-up, and of what happened."""
        found = list(self.doubts)
        claimed_s = self._outcome.last.downtime_s
        if self._plan.switch_after_passes is not None and self._outcome.switched_at_s is None:
            found.append(NeverSwitched(self._plan.switch_after_passes))
        if abs(step_s := self._outcome.clock_step_s) > 0.001:
            found.append(ClockStep(step_s))
        if downtime_s and not self._outcome.paused and claimed_s is not None and downtime_s > claimed_s + 0.1:
            found.append(SlowResume(downtime_s - claimed_s))
        return tuple(found)

    def _dirty_rate(self, side: str, stopped_s: float) -> float | None:
        """What the guest says of its writes, or else what QEMU said of its dirty pages."""
        after = self.kind.written(self.sides, side)
        if after is None or self._before is None:
            return self._seen.dirty_rate_bytes_per_s
        return self._before.rate_bytes_per_s(after, stopped_s)

    def _live_again(self, over_s: float, held_s: float, held: Sequence[Verdict]) -> float | None:
        """How long the guest was silent until ``over_s``, if it beats. Of no interest where it was held and a difference found."""
        if not all(check.ok for check in held):
            return None
        try:
            self.wait_after_resume(over_s)
        except QemuError as exc:
            raise QemuError(f"{exc}, although all of its memory arrived" if held else str(exc)) from exc
        pulse = self.kind.pulse
        if pulse is None:
            return None
        before, after = ([beat.at_s for beat in self.consoles.beats(side)] for side in ("source", "destination"))
        beats_at_s = sorted([*before, *(at_s - held_s for at_s in after)])
        return longest_silence_s(beats_at_s, self._outcome.began_monotonic_s, over_s, pulse.after)


def _glimpse(status: MigrationStatus) -> Glimpse:
    return Glimpse(
        status.t_s,
        status.passes,
        status.remaining_bytes,
        status.dirty_rate_bytes_per_s,
        status.transferred_bytes,
    )
