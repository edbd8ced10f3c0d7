"""A guest that runs in QEMU, whatever its kind: what this machine's QEMU can do, the accelerator, and both ends of a migration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.errors import MissingError
from harness.guests.accel import Accel, common, usual_accel
from harness.guests.compare import Verdict
from harness.guests.contract import Guest, Place
from harness.guests.held import compare_held
from harness.guests.native import MethodPlan, MethodUnavailable, plan_method
from harness.guests.qemu_ends import QemuEnds
from harness.guests.qemu_kind import QemuKind, Sides
from harness.guests.qemu_settings import QemuSettings
from harness.guests.start import start_ends
from harness.hosts.limits import cores
from harness.qemu.memory import check_room
from harness.qemu.survey import QemuSurvey, survey
from harness.results.document import Scalar
from harness.results.doubt import Doubt
from harness.results.doubts import Emulated, NotPreallocated
from harness.scenario.methods import Method, PairMethod
from harness.scenario.model import Scenario

_DIRTY_RING = ",dirty-ring-size=4096"


class QemuGuest(Guest, QemuKind):
    """A kind extends it by what ``QemuKind`` asks for. ``kept_bytes``: what it keeps from one migration to the next."""

    kept_bytes: int = 0

    def __init__(self, scenario: Scenario, given: QemuSettings) -> None:
        super().__init__(scenario)
        self.given = given
        self._survey: QemuSurvey
        self.accel: Accel

    def open(self) -> None:
        """:raises MissingError: no QEMU, no KVM where it was asked for, or not enough memory for two guests."""
        places = tuple(dict.fromkeys(self.hosts))
        for host in places:
            host.call(check_room, self.given.guest_memory, 2 // len(places), self.kept_bytes)
        self._survey = _same([host.call(survey, self.given.qemu) for host in places])
        self.accel = common([host.call(usual_accel, self.given.qemu, self.given.accel) for host in places])

    def describe(self) -> dict[str, Scalar]:
        """The accelerator, with the reason for it."""
        return {
            "accel": self.accel.name,
            "accel_reason": self.accel.reason,
            "cpu_of_guest": self.accel.cpu,
            "machine_of_guest": self._survey.machine,
        }

    @contextmanager
    def ends(self, method: Method, place: Place) -> Iterator[QemuEnds]:
        """Two QEMUs, set up for ``method``. :raises MethodUnavailable: this QEMU, or this kind of guest, cannot."""
        limit_s, return_path = self.scenario.downtime_limit_s, self.scenario.return_path
        plan = plan_method(method, self._survey, downtime_limit_s=limit_s, return_path=return_path)
        if plan.switch_after_passes is not None and self.holds:
            raise MethodUnavailable(
                f"switch: a guest of kind {self.given.kind!r} is held at the destination until its memory was compared, and "
                "post-copy needs one that runs: write guest.verify = false where that kind has it, or use kind 'stress'"
            )
        if plan.source.capabilities.get("dirty-limit") and self.accel.name != "kvm":
            raise MethodUnavailable(
                f"dirty-limit needs KVM's dirty ring, and the guest runs under TCG: {self.accel.reason}"
            )
        steered = self.scenario.shortest_of(method) is not None or (isinstance(method, PairMethod) and method.steer)
        with self.start(plan, place, steered=steered) as ends:
            yield ends

    @contextmanager
    def start(self, plan: MethodPlan, place: Place, *, steered: bool = False) -> Iterator[QemuEnds]:
        """Two QEMUs that are the same binary, versioned machine, processor and memory, or the stream would not load."""
        argv = self.argv(dirty_ring=plan.source.capabilities.get("dirty-limit", False))
        with start_ends(self, argv, plan, place, steered=steered) as ends:
            read_back = self.given.guest_memory.read_back
            made = {f"{side.name}.memory": read_back(side.qmp) for side in (ends.source, ends.destination)}
            ends.parameters = {**ends.parameters, **made}
            ends.doubts = tuple(self.doubts_about(plan))
            yield ends

    def compare_all(self, sides: Sides) -> Sequence[Verdict]:
        """Every RAM block, of a guest that stands still on both sides; what a kind's ``compare`` may be."""
        ram = [block.name for block in self.given.guest_memory.blocks]
        return compare_held(sides.qemus["source"], sides.qemus["destination"], ram)

    def doubts_about(self, plan: MethodPlan) -> Iterator[Doubt]:
        """What of the processor and of the method makes a run's figures other than they seem."""
        if self.accel.name == "tcg":
            yield Emulated()
        if self.given.prealloc and plan.destination.capabilities.get("postcopy-ram"):
            yield NotPreallocated("the capability postcopy-ram has QEMU empty the destination's memory first")

    def argv(self, *, dirty_ring: bool = False) -> list[str]:
        """How each of its QEMUs begins, the binary first. ``dirty_ring``: KVM tells in rings which pages a processor wrote."""
        accel = f"{self.accel.name}{_DIRTY_RING}" if dirty_ring else self.accel.name
        argv = [self.given.qemu, "-machine", self._survey.machine, "-accel", accel, *self.accel.argv]
        return [*argv, *self.given.guest_memory.arguments(cores()), "-no-reboot"]


def _same(surveys: Sequence[QemuSurvey]) -> QemuSurvey:
    """Of one QEMU on all hosts. :raises MissingError: a stream of one might not load into the other."""
    versions = list(dict.fromkeys(each.version for each in surveys))
    if len(versions) > 1:
        raise MissingError(
            f"QEMU {versions[0]} at the source and {versions[1]} at the destination: both must be one version: install it, "
            "or name its binary as guest.qemu"
        )
    return surveys[0]
