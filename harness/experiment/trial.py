"""One migration from beginning to end: a link, the guest's two ends, our pair between them where the method is ours, a Run.

The clock runs while the ends migrate, and the probes (the link's counter, the processes' CPU time) look meanwhile. What is
asked of the ends afterwards is not the migration's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import PageferryError, UserError
from harness.experiment.environment import facts_of_pair
from harness.experiment.events import RunProgress
from harness.experiment.halves import Half, failure_of, open_pair
from harness.experiment.pair_facts import (
    Reports,
    pair_counters,
    pair_decisions,
    pair_doubts,
    pair_parameters,
    pair_steering,
)
from harness.guests.contract import Crossing, Ends, Glimpse, Place, make_guest
from harness.hosts.contract import Host
from harness.hosts.files import write_part
from harness.hosts.limits import most_throttled_s, throttled_s
from harness.hosts.local import HERE
from harness.hosts.look import Look, cpu_seconds
from harness.hosts.pinning import pinned
from harness.hosts.rundir import LOGS_BYTES, open_run_dir, scratch_base
from harness.links.contract import ChosenLink, Link, choose_link
from harness.links.steps import stepping
from harness.migrator.report import SteeringReport
from harness.migrator.steering.steering import Steering, open_steering
from harness.migrator.transport.contract import Tls
from harness.results.document import Scalar
from harness.results.doubt import Doubt
from harness.results.doubts import Throttled
from harness.results.result import CpuSeconds, Run, Sample, Status
from harness.scenario.methods import Method, PairMethod
from harness.scenario.model import Scenario
from harness.scenario.pin import Pin

_LAB = "pageferry-lab"
OnProgress = Callable[[RunProgress], None]


class Lab:
    """A scenario's guest and link, found once for all of its trials. A trial leaves nothing behind, however it ends.

    ``tell``: is told what takes long while it is opened, in a sentence.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.tell: Callable[[str], None] = lambda _: None
        self._scenario = scenario
        self._pin = scenario.pin or Pin()
        self._guest = make_guest(scenario)
        self._folder_bytes = self._guest.folder_bytes + LOGS_BYTES
        self._link: ChosenLink
        self._far: dict[str, Scalar] = {}

    def __enter__(self) -> Lab:
        """:raises MissingError: something that the guest needs is not here, or no link, room or processor."""
        self._link = choose_link(self._scenario.link)
        self._scratch = scratch_base(self._folder_bytes)
        self._guest.tell = self.tell
        with self._hosts() as hosts:
            self._guest.hosts = hosts
            self._pin.check(*hosts)
            self._guest.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing outlives a trial but what its guest keeps for the next."""
        self._guest.close()

    @contextmanager
    def _hosts(self) -> Iterator[tuple[Host, Host]]:
        """Where the guest will be, as far as that matters before there is a link."""
        if not self._link.kind.far:
            yield HERE, HERE
            return
        if not self._guest.travels:
            kind = self._scenario.guest.kind
            raise UserError(f"guest.kind {kind!r}: such a guest stays on this machine: leave --pair out")
        with self._link.make() as link:
            qemu = getattr(self._scenario.guest, "qemu", "")
            self._far = facts_of_pair(link.source, link.destination, qemu)
            yield link.source, link.destination

    def describe(self) -> dict[str, Scalar]:
        """What was chosen and why (accelerator, link): goes into the result's environment."""
        return {**self._guest.describe(), **self._link.describe(), **self._far, "scratch": str(self._scratch)}

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """Per page class of the guest's memory: share, declared and measured ratio."""
        return self._guest.memory_classes()

    def run(self, method: Method, logs: Path, on_progress: OnProgress) -> Run:
        """One migration. :raises MissingError: this machine cannot run the method. :raises PageferryError: it failed."""
        with ExitStack() as stack:
            run_dir = stack.enter_context(open_run_dir(logs, self._folder_bytes))
            link = stack.enter_context(self._link.make())
            if link.far:
                self._guest.hosts = link.source, link.destination
            qemus = pinned(link.source, self._pin.source_qemu), pinned(link.destination, self._pin.destination_qemu)
            ends = stack.enter_context(self._guest.ends(method, Place(run_dir, *qemus)))
            carrier = stack.enter_context(_open_carrier(self._scenario, method, ends, link, run_dir))
            ends.begin()
            return _Trial(self._scenario, method, ends, link, carrier, on_progress=on_progress).run()


@dataclass(frozen=True, slots=True)
class _Carrier:
    """Where the source migrates to, our two halves if they stand between, and what steers a source that migrates without them."""

    address: str
    halves: tuple[Half, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    steering: Steering | None = None


@contextmanager
def _open_carrier(scenario: Scenario, method: Method, ends: Ends, link: Link, run_dir: Path) -> Iterator[_Carrier]:
    shortest, tls = scenario.shortest_of(method), _certificates(run_dir, link) if link.given.tls else None
    if not isinstance(method, PairMethod):
        doubts = () if tls is None else ends.encrypt(tls.folder.name, str(tls.peer))
        heard = ends.listen(f"tcp:{link.destination.address}:{link.destination.port()}")
        address = "tcp:{}:{}".format(*link.connect_address(int(heard.rpartition(":")[2])))
        with _steered(ends, link, shortest) as steering:
            yield _Carrier(address, doubts=doubts, steering=steering)
        return
    out_of, into = link.source.folder(run_dir) / "out.sock", link.destination.folder(run_dir) / "in.sock"
    ends.listen(f"unix:{into}")
    with open_pair(
        method,
        link,
        scenario.pin or Pin(),
        source=out_of,
        target=into,
        run_dir=run_dir,
        qmp=ends.qmp,
        shortest=shortest,
        return_path=ends.confirms,
        tls=tls,
    ) as halves:
        yield _Carrier(f"unix:{out_of}", halves)


def _steered(ends: Ends, link: Link, shortest: float | None) -> AbstractContextManager[Steering | None]:
    if shortest is None or ends.qmp is None:
        return nullcontext()
    return open_steering(f"unix:{link.source.near(ends.qmp)}", "shortest", shortest)


def _certificates(run_dir: Path, link: Link) -> Tls:
    """For one run, in a folder of each host's: the name is nobody's."""
    from harness.migrator.transport.lab_ca import make_folder  # noqa: PLC0415 - for the few scenarios that encrypt

    made = run_dir / "tls"
    make_folder(made, [_LAB], 1)
    for host in (link.source, link.destination):
        for file in made.iterdir():
            host.call(write_part, host.folder(run_dir) / made.name / file.name, 0, file.read_bytes())
    return Tls(made, _LAB)


class _Trial:
    """The measured part: everything is up, and so is the guest."""

    def __init__(
        self, scenario: Scenario, method: Method, ends: Ends, link: Link, carrier: _Carrier, *, on_progress: OnProgress
    ) -> None:
        self._scenario = scenario
        self._method = method
        self._ends = ends
        self._link = link
        self._address, self._halves, self._doubts = carrier.address, carrier.halves, carrier.doubts
        self._steering = carrier.steering
        self._on_progress = on_progress
        self._look: Look

    def run(self) -> Run:
        self._look = Look(self._link.counters, {**self._ends.cpu_s, **{half.name: half.cpu_s for half in self._halves}})
        before = self._throttled()
        with stepping(self._link, self._scenario.link.steps):
            crossing = self._migrate()
        cpu_s, wire_bytes = self._look.cpu_since_start(), self._look.wire_bytes()
        return_bytes = self._look.return_bytes()
        held_s = max(map(most_throttled_s, before, self._throttled()))
        reports: Reports = {} if crossing.gave_up is not None else {half.name: half.finish() for half in self._halves}
        crossing = self._ends.examine(crossing)
        crossing = replace(crossing, doubts=(*crossing.doubts, *self._doubts, *([Throttled(held_s)] if held_s else ())))
        final_s = self._look.cpu_since_start()  # the halves' has become final with their end
        cpu_s |= {half.name: final_s[half.name] for half in self._halves}
        return _filled(
            self._method.name,
            crossing,
            reports,
            wire_bytes=wire_bytes,
            return_bytes=return_bytes,
            cpu_s=cpu_seconds(cpu_s),
            samples=_since(self._look.samples, crossing.first_byte_s),
            parameters=self._ends.parameters,
            alone=None if self._steering is None else self._steering.report(),
        )

    def _throttled(self) -> list[dict[Path, float]]:
        """By host."""
        return [host.call(throttled_s) for host in (self._link.source, self._link.destination)]

    def _migrate(self) -> Crossing:
        try:
            return self._moved()
        except PageferryError as exc:
            cause = failure_of(self._halves)
            if cause is None:
                raise
            raise type(cause)(f"{cause}; {exc}") from exc

    def _moved(self) -> Crossing:
        if self._steering is None:
            return self._ends.migrate(self._address, self._scenario.timeout_s, self._glimpsed)
        self._steering.begin()
        crossing = self._ends.migrate(self._address, self._scenario.timeout_s, self._glimpsed)
        self._steering.finish()
        return crossing

    def _glimpsed(self, seen: Glimpse) -> None:
        sample = self._look.take(
            seen.t_s,
            passes=seen.passes,
            remaining_bytes=seen.remaining_bytes,
            dirty_rate_bytes_per_s=seen.dirty_rate_bytes_per_s,
        )
        rate = self._look.wire_bytes_per_s
        self._on_progress(
            RunProgress(self._method.name, seen.t_s, seen.passes, sample.wire_bytes, rate, seen.stream_bytes)
        )


def _since(samples: tuple[Sample, ...], begin_s: float) -> tuple[Sample, ...]:
    if not begin_s:
        return samples
    return tuple(replace(sample, t_s=sample.t_s - begin_s) for sample in samples if sample.t_s >= begin_s)


def _filled(
    method: str,
    crossing: Crossing,
    reports: Reports,
    *,
    wire_bytes: int,
    return_bytes: int,
    cpu_s: CpuSeconds,
    samples: tuple[Sample, ...],
    parameters: Mapping[str, Scalar],
    alone: SteeringReport | None,
) -> Run:
    """All that a run is known by; whoever asked for it knows its number and when it was. ``alone``: how a source was steered that
    migrated without the pair."""
    status: Status = "timeout" if crossing.gave_up is not None else "completed" if crossing.wrong is None else "failed"
    stream_bytes = reports["sender"].stream_bytes if "sender" in reports else crossing.stream_bytes
    told = crossing.raw and stream_bytes is not None and wire_bytes
    return Run(
        method,
        repeat=0,
        warmup=False,
        status=status,
        reason=crossing.gave_up or crossing.wrong,
        error=crossing.wrong,
        total_time_s=crossing.total_time_s,
        downtime_s=crossing.downtime_s,
        downtime_error_s=crossing.downtime_error_s,
        downtime_reported_s=crossing.downtime_reported_s,
        heartbeat_gap_s=crossing.heartbeat_gap_s,
        wire_bytes=wire_bytes,
        stream_bytes=stream_bytes,
        ratio=(stream_bytes or 0) / wire_bytes if told else None,
        passes=crossing.passes,
        guest_dirty_rate_bytes_per_s=crossing.guest_dirty_rate_bytes_per_s,
        work=crossing.work,
        vcpu_s=crossing.vcpu_s,
        cpu_s=cpu_s,
        verified=crossing.verified,
        verification=crossing.verification,
        parameters={**parameters, **pair_parameters(reports)},
        counters={**crossing.counters, "wire_return_bytes": return_bytes, **pair_counters(reports)},
        samples=samples,
        decisions=pair_decisions(reports),
        steering=pair_steering(reports, alone),
        doubts=(*crossing.doubts, *pair_doubts(reports), *(() if alone is None else alone.doubts())),
    )
