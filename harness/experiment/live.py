"""One live migration of a real guest between two QEMUs, by any method: set up, measured, verified, taken down.

Order of a run: link, both QEMUs, the pair where the method is ours, guest up and beating; then the clock runs from the
migrate command to the guest's RESUME at the destination; then the guest's own check and the comparison of all RAM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import QemuError, UserError
from harness.experiment.downtime import longest_silence_s, stop_to_resume_s, wall_to_monotonic_s
from harness.experiment.events import RunProgress
from harness.experiment.halves import (
    Half,
    failure_of,
    open_pair,
)
from harness.experiment.pair_facts import (
    Reports,
    pair_counters,
    pair_decisions,
    pair_doubts,
    pair_parameters,
    pair_steering,
)
from harness.guests.accel import Accel, probe_accel
from harness.guests.native import plan_method
from harness.guests.pair import GuestPair, GuestSpec, start_pair
from harness.guests.stress import StressConfig, layout
from harness.guests.stress.kind import StressSettings
from harness.guests.verify import Verification, dump_bytes, verify
from harness.hosts.look import Look, cpu_seconds
from harness.hosts.rundir import LOGS_BYTES, open_run_dir, scratch_base
from harness.links.contract import Link, choose_link
from harness.links.steps import stepping
from harness.qemu.migration import MigrationOutcome, MigrationStatus, listen, migrate
from harness.qemu.survey import QemuSurvey, survey
from harness.results.result import CpuSeconds, Run
from harness.scenario.methods import Method, PairMethod, QemuMethod
from harness.scenario.model import Scenario
from harness.streams.memory import memory
from harness.streams.memory.cache import cache_dir

__all__ = ["LiveLab"]

_GUEST_UP_TIMEOUT_S = 60.0
_INSIDE_QEMU = frozenset({"compress", "xbzrle", "multifd"})
"""Capabilities under which QEMU's own byte count is not that of the raw stream, so that no ratio can be told."""

_TCG_DOUBT = (
    "the guest ran under TCG, so times say nothing of KVM; and QEMU 7.2 itself was seen to lose a busy guest's last writes "
    "there (compress and multifd-zlib, without our pair), which the verification then reports"
)


class LiveLab:
    """Runs of one scenario with a stress guest. Entering it checks what is here and makes the guest's memory image."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        guest = scenario.guest
        if not isinstance(guest, StressSettings):
            raise UserError(f"a guest of kind {guest.kind!r} does not live in QEMU")
        self._guest = guest
        self._config = StressConfig(
            guest.memory_bytes,
            guest.working_set_bytes,
            guest.dirty_rate_bytes_per_s,
            guest.pattern,
            guest.changed_bytes_per_page,
        )
        self._scratch_bytes = dump_bytes(guest.memory_bytes) + LOGS_BYTES

    def __enter__(self) -> LiveLab:
        """Survey, probe, images, link. :raises MissingError: no QEMU, no KVM where it was asked for, no link, no room."""
        guest = self._guest
        self._survey: QemuSurvey = survey(guest.qemu)
        self._scratch = scratch_base(self._scratch_bytes)
        self._accel: Accel = probe_accel(guest.qemu, guest.accel)
        images = tuple(
            memory.cached_image(guest.fill, part.bytes, guest.seed + index, cache_dir())
            for index, part in enumerate(layout(self._config).fill)
        )
        self._spec = GuestSpec(guest.qemu, self._survey.machine, self._accel, self._config, images)
        self._link = choose_link(self._scenario.link)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing outlives a run."""

    def describe(self) -> dict[str, str | int | float | bool | None]:
        """Accelerator and link, each with the reason for it."""
        return {
            "accel": self._accel.name,
            "accel_reason": self._accel.reason,
            "cpu_of_guest": self._accel.cpu,
            "machine_of_guest": self._survey.machine,
            **self._link.describe(),
            "scratch": str(self._scratch),
        }

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """Shares, declared and measured zlib-1 ratios of the fill."""
        guest = self._guest
        return {str(name): facts for name, facts in memory.measure_classes(guest.fill, guest.seed).items()}

    def run(self, method: Method, logs: Path, on_progress: Callable[[RunProgress], None]) -> Run:
        """One migration by ``method``. :raises MissingError: not on this machine. :raises PageferryError: it failed."""
        scenario = self._scenario
        plan = plan_method(
            method, self._survey, downtime_limit_s=scenario.downtime_limit_s, return_path=scenario.return_path
        )
        with ExitStack() as stack:
            run_dir = stack.enter_context(open_run_dir(logs, self._scratch_bytes))
            link = stack.enter_context(self._link.make())
            pair = stack.enter_context(
                start_pair(
                    self._spec,
                    plan,
                    run_dir=run_dir,
                    log_dir=run_dir,
                    hosts=(link.source, link.destination),
                    steered=isinstance(method, PairMethod) and method.steer,
                )
            )
            route = stack.enter_context(_open_route(method, pair, link, run_dir, return_path=scenario.return_path))
            pair.run_guest(_GUEST_UP_TIMEOUT_S)
            run = _Attempt(scenario, method, pair, link, route, on_progress).run(run_dir)
            return run if self._accel.name == "kvm" else replace(run, warnings=(*run.warnings, _TCG_DOUBT))


@dataclass(frozen=True, slots=True)
class _Route:
    """Where the source migrates to, and our two halves if they stand between."""

    uri: str
    halves: tuple[Half, ...] = ()


@contextmanager
def _open_route(method: Method, pair: GuestPair, link: Link, run_dir: Path, *, return_path: bool) -> Iterator[_Route]:
    if not isinstance(method, PairMethod):
        heard = listen(pair.destination, f"tcp:{link.destination.address}:0")
        yield _Route("tcp:{}:{}".format(*link.connect_address(int(heard.rpartition(":")[2]))))
        return
    out_of, into = run_dir / "out.sock", run_dir / "in.sock"
    listen(pair.destination, f"unix:{into}")
    qmp = pair.source.qmp_for_others
    with open_pair(
        method, link, source=out_of, target=into, run_dir=run_dir, qmp=qmp, return_path=return_path
    ) as halves:
        yield _Route(f"unix:{out_of}", halves)


@dataclass(slots=True)
class _Attempt:
    """The measured part of a run: everything is up, the guest beats."""

    scenario: Scenario
    method: Method
    pair: GuestPair
    link: Link
    route: _Route
    on_progress: Callable[[RunProgress], None]
    look: Look = field(init=False)
    spent_cpu_s: dict[str, float] = field(init=False)
    wire_bytes: int = field(init=False)
    return_bytes: int = field(init=False)
    dirtied_bytes_per_s: float | None = field(init=False, default=None)

    def run(self, run_dir: Path) -> Run:
        parties = {"source_qemu": self.pair.source.cpu_s, "destination_qemu": self.pair.destination.cpu_s}
        parties |= {half.name: half.cpu_s for half in self.route.halves}
        before = self.pair.ask_writes("source")
        self.look = Look(self.link.counters, parties)
        with stepping(self.link, self.scenario.link.steps):
            outcome = self._migrate()
        self.spent_cpu_s = self.look.cpu_since_start()  # what is asked of the QEMUs from here on is not the migration's
        self.wire_bytes, self.return_bytes = self.look.wire_bytes(), self.look.return_bytes()
        if outcome.status == "timeout":
            after = self.pair.ask_writes("source") if outcome.source_runs else before
            self.dirtied_bytes_per_s = before.rate_bytes_per_s(after, 0.0)
            return self._run("timeout", outcome, reason=outcome.reason)
        reports = {half.name: half.finish() for half in self.route.halves}
        if outcome.resume_at_s is None or outcome.stop_at_s is None:
            raise QemuError("the guest did not run when it was migrated, so there is no downtime to measure")
        stopped_s = max(0.0, outcome.resume_at_s - outcome.stop_at_s)
        self.dirtied_bytes_per_s = before.rate_bytes_per_s(self.pair.ask_writes("destination"), stopped_s)
        resume_s = wall_to_monotonic_s(outcome.resume_at_s)
        self.pair.wait_after_resume(resume_s, timeout_s=10.0)
        gap_s = longest_silence_s(self.pair.reader.beats_at_s(), outcome.began_monotonic_s, resume_s)
        checked = verify(
            self.pair.source.qmp,
            self.pair.destination.qmp,
            self.pair.layout,
            run_dir,
            guest_checks=[self.pair.check_guest()],
        )
        return self._completed(outcome, checked, gap_s, reports)

    def _migrate(self) -> MigrationOutcome:
        try:
            return migrate(
                self.pair.source,
                self.pair.destination,
                self.route.uri,
                timeout_s=self.scenario.timeout_s,
                on_status=self._on_status,
            )
        except QemuError as exc:
            cause = failure_of(self.route.halves)
            if cause is None:
                raise
            raise type(cause)(f"{cause}; {exc}") from exc

    def _on_status(self, status: MigrationStatus) -> None:
        sample = self.look.take(
            status.t_s,
            passes=status.passes,
            remaining_bytes=status.remaining_bytes,
            dirty_rate_bytes_per_s=status.dirty_rate_bytes_per_s,
        )
        self.on_progress(
            RunProgress(
                self.method.name,
                status.t_s,
                status.passes,
                sample.wire_bytes,
                self.look.wire_bytes_per_s,
                status.transferred_bytes,
            )
        )

    def _completed(
        self, outcome: MigrationOutcome, checked: Verification, gap_s: float | None, reports: Reports
    ) -> Run:
        assert outcome.stop_at_s is not None  # noqa: S101 - for the type checker: checked before
        assert outcome.resume_at_s is not None  # noqa: S101
        wrong = None if checked.ok else "the memory did not arrive whole: " + "; ".join(checked.lines)
        return self._run(
            "completed" if checked.ok else "failed",
            outcome,
            reason=wrong,
            error=wrong,
            total_time_s=outcome.total_time_s,
            downtime_s=stop_to_resume_s(outcome.stop_at_s, outcome.resume_at_s),
            downtime_reported_s=outcome.last.downtime_s,
            heartbeat_gap_s=gap_s,
            verified=checked.ok,
            verification=checked.lines,
            reports=reports,
        )

    def _run(
        self,
        status: Any,  # noqa: ANN401 - Run checks it
        outcome: MigrationOutcome,
        *,
        reports: Reports | None = None,
        **known: Any,  # noqa: ANN401 - Run's own fields
    ) -> Run:
        reports = reports or {}
        wire_bytes = self.wire_bytes
        ours = reports.get("sender")
        stream_bytes = ours.stream_bytes if ours else outcome.last.transferred_bytes
        inside = _INSIDE_QEMU & set(self.method.capabilities if isinstance(self.method, QemuMethod) else ())
        return Run(
            self.method.name,
            repeat=0,
            warmup=False,
            status=status,
            wire_bytes=wire_bytes,
            stream_bytes=stream_bytes,
            ratio=None if inside or not wire_bytes else stream_bytes / wire_bytes,
            passes=outcome.last.passes,
            guest_dirty_rate_bytes_per_s=self.dirtied_bytes_per_s,
            cpu_s=self._cpu(),
            parameters=dict(self.pair.parameters) | pair_parameters(reports),
            counters=self._counters(outcome.last) | pair_counters(reports),
            samples=self.look.samples,
            decisions=pair_decisions(reports),
            steering=pair_steering(reports),
            warnings=(*_doubts(outcome, known), *pair_doubts(reports)),
            **known,
        )

    def _cpu(self) -> CpuSeconds:
        spent = self.look.cpu_since_start()  # the halves' has become final with their end
        return cpu_seconds(self.spent_cpu_s | {half.name: spent[half.name] for half in self.route.halves})

    def _counters(self, last: MigrationStatus) -> dict[str, int | float]:
        """What QEMU says of itself, and the way back."""
        ram = last.raw.get("ram", {})
        pages = {
            f"qemu_{key}_pages": ram[key] for key in ("normal", "duplicate") if isinstance(ram, dict) and key in ram
        }
        return {"qemu_total_time_s": last.total_time_s, "wire_return_bytes": self.return_bytes, **pages}


def _doubts(outcome: MigrationOutcome, known: dict[str, Any]) -> Iterator[str]:
    """A sentence for each number of this run that deserves doubt."""
    if abs(outcome.clock_step_s) > 0.001:
        yield f"the wall clock was moved by {outcome.clock_step_s * 1e3:.1f} ms during the run: downtime is off by as much"
    downtime_s, claimed_s = known.get("downtime_s"), known.get("downtime_reported_s")
    if downtime_s and claimed_s is not None and downtime_s > claimed_s + 0.1:
        yield f"STOP to RESUME took {(downtime_s - claimed_s) * 1e3:.0f} ms longer than QEMU reported"
