"""Linux as a kind of guest: its files, its arguments for QEMU, how it is seen to work, and how much it did meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import QemuError
from harness.guests.accel import common, kernel_accel
from harness.guests.compare import Verdict
from harness.guests.console import Feed, GuestFailure
from harness.guests.contract import Place
from harness.guests.linux.console import Console, Ready, Work
from harness.guests.linux.maker import Made, make
from harness.guests.linux.recipe import KERNEL, initrd
from harness.guests.linux.settings import LinuxSettings
from harness.guests.linux.trial import BARE
from harness.guests.linux.workloads import WORKLOADS
from harness.guests.qemu_ends import QemuEnds
from harness.guests.qemu_guest import QemuGuest
from harness.guests.qemu_kind import Pulse, Sides
from harness.guests.saved import save, state_bytes
from harness.guests.start import start_alone
from harness.hosts.rundir import open_scratch
from harness.qemu.survey import survey
from harness.results.cache import cache_dir
from harness.results.document import Scalar
from harness.scenario.methods import Method
from harness.scenario.model import Scenario

_ALIVE_TIMEOUT_S = 60.0


class Linux(QemuGuest):
    """Nothing in it keeps still, so all of its memory is compared while it stands still."""

    settings = LinuxSettings
    travels = True
    summary = "a Linux with a real program on it, made from Debian's packages"
    pulse = Pulse(before=200, after=10)  # of 10 ms each: a second to get into its stride, and one to show its pace
    holds = True
    ready_timeout_s = 180.0  # under TCG on a loaded machine; undisturbed it takes 3 to 12 s there

    def __init__(self, scenario: Scenario) -> None:
        given = self.given_by(scenario, LinuxSettings)
        super().__init__(scenario, given)
        self._given = given
        self._workload = WORKLOADS[given.workload]
        self._kept = ExitStack()
        self._begun: set[str] = set()
        self.kept_bytes = state_bytes(given.memory_bytes) if given.boot == "repeat" else 0
        self.work_unit = self._workload.operation
        self._kernel: Made
        self._initrd: Made

    def open(self) -> None:
        """Makes its files, or finds them. :raises MissingError: as every QEMU's guest, or Debian's packages cannot be had."""
        self.hosts[0].call(survey, self.given.qemu)
        cache = cache_dir()
        self._kernel = make(KERNEL, cache, self.tell)
        self._initrd = make(initrd(self._given.workload), cache, self.tell)
        super().open()
        if self.accel.name == "kvm":  # hosts that run a small guest may still fail at a kernel
            kernel, asked = self._kernel.path, (self.given.accel, self.accel.cpu)
            places = dict.fromkeys(self.hosts)
            self.accel = common([h.call(kernel_accel, self.given.qemu, h.bring(kernel), *asked) for h in places])

    def close(self) -> None:
        """The saved state."""
        self._kept.close()
        self.state = None

    def describe(self) -> dict[str, Scalar]:
        """The packages too, with their versions."""
        packages = {**self._kernel.packages, **self._initrd.packages}
        return {
            **super().describe(),
            "guest_packages": ", ".join(f"{name} {version}" for name, version in sorted(packages.items())),
            "guest_kernel_sha256": self._kernel.sha256,
            "guest_initrd_sha256": self._initrd.sha256,
        }

    @contextmanager
    def ends(self, method: Method, place: Place) -> Iterator[QemuEnds]:
        """As every QEMU's guest's. :raises QemuError: the guest that is to be saved first does not get ready."""
        if self._given.boot == "repeat":
            self._save_for(method.name, place)
        with super().ends(method, place) as ends:
            yield ends

    def _save_for(self, method: str, place: Place) -> None:
        """A state from which this method has not begun yet: where its turn comes again, a new repeat has come, with a new guest."""
        if self.state is None or method in self._begun:
            self.close()
            self._begun.clear()
            file = self._kept.enter_context(open_scratch(self.kept_bytes)) / "state"
            with start_alone(self, self.argv(), place, "boot") as sides:
                booted = sides.qemus["source"]
                booted.qmp.execute("cont")
                self.wait_ready(sides, time.monotonic(), self.ready_timeout_s)
                save(booted, file)
            self.state = file
        self._begun.add(method)

    def arguments(self, *, boots: bool) -> list[str]:
        """Only the source gets a kernel: its memory comes to the destination with the migration."""
        rate = self._given.rate or self._workload.rate or 0
        if not boots:
            return [*BARE]
        files = [self.hosts[0].bring(made.path) for made in (self._kernel, self._initrd)]
        return [*BARE, *_boot(files, self._given.seed, rate, self._given.append)]

    def feed(self) -> Feed:
        """Its language."""
        return Console().feed

    def wait_ready(self, sides: Sides, since_s: float, timeout_s: float) -> None:
        """Until its workload says so; one that begins from a saved state has said it."""
        if self.state is not None:
            return
        said = sides.consoles.wait_said("source", _is_ready, timeout_s, since_s=since_s)
        if isinstance(said, GuestFailure):
            raise QemuError(
                f'source: the guest does not get ready: {said.message}; look into its log, or write more "memory"'
            )

    def compare(self, sides: Sides) -> Sequence[Verdict]:
        """Every RAM block."""
        return self.compare_all(sides)

    def wait_alive(self, sides: Sides) -> None:
        """Until it has done more than it had at the source; one that has nothing to do is known by its heart."""
        if self._given.workload == "idle":
            return
        counts = sides.consoles.work("source")
        more = _has_done_more(counts[-1][1] if counts else 0)
        said = sides.consoles.wait_said("destination", more, _ALIVE_TIMEOUT_S, since_s=0.0)
        if isinstance(said, GuestFailure):
            raise QemuError(f"destination: the guest came over and failed: {said.message}")


def _boot(files: Sequence[Path], seed: int, rate: int, append: str) -> list[str]:
    kernel, first_files = map(str, files)
    told = f"console=ttyS0 quiet panic=-1 pageferry.SEED={seed} pageferry.RATE={rate} {append}".rstrip()
    return ["-kernel", kernel, "-initrd", first_files, "-append", told]


def _is_ready(event: object) -> bool:
    return isinstance(event, Ready | GuestFailure)


def _has_done_more(than: float) -> Callable[[object], bool]:
    return lambda event: isinstance(event, GuestFailure) or (isinstance(event, Work) and event.done > than)
