"""A source and a destination QEMU with one stress guest between them: started, listened to, asked, stopped together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import QemuError
from harness.guests.accel import Accel
from harness.guests.console import Feed, HeartbeatReader
from harness.guests.native import MethodPlan, Scalar, SideSettings, apply_plan
from harness.guests.stress import (
    Command,
    Console,
    Event,
    GuestFailure,
    Heartbeat,
    Layout,
    Status,
    StressConfig,
    VerifyReport,
    boot,
    devices,
    layout,
)
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.qemu.process import QemuProcess
from harness.units import MIB

__all__ = ["GuestCheck", "GuestPair", "GuestSpec", "Writes", "guest_argv", "start_pair"]

CONSOLE = "console"
PAGE_BYTES = 4096
ANSWER_TIMEOUT_S = 30.0
FIRST_BEATS = 20  # 0.2 s of an undisturbed guest before a migration
BEATS_AFTER = 12  # two more than the silence around a migration is measured over


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """What both QEMUs are: the same binary, versioned machine type, processor and memory, or the stream would not load.

    ``machine``: ``survey(qemu).machine``. ``images``: a file for each of ``layout(config).fill``, for the source's RAM.
    """

    qemu: str
    machine: str
    accel: Accel
    config: StressConfig
    images: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Writes:
    """The guest's count of pages written, and when it was heard (monotonic)."""

    pages: int
    at_s: float

    def rate_bytes_per_s(self, later: Writes, stopped_s: float) -> float | None:
        """What the guest wrote from here to ``later``, per second that it ran; ``stopped_s`` of them it stood still."""
        ran_s = later.at_s - self.at_s - stopped_s
        return (later.pages - self.pages) * PAGE_BYTES / ran_s if ran_s > 0 else None


@dataclass(frozen=True, slots=True)
class GuestCheck:
    """What the guest found when it checked its own working set, in words."""

    ok: bool
    line: str


def guest_argv(spec: GuestSpec, settings: SideSettings, *, incoming: bool) -> list[str]:
    """One side's command line, without QMP. Only the source gets a kernel and the fill; the rest must be the same."""
    argv = [spec.qemu, "-machine", f"{spec.machine},accel={spec.accel.name}", *spec.accel.argv]
    argv += ["-m", f"{spec.config.memory_bytes // MIB}M", "-smp", "1", "-no-reboot", *settings.argv, *devices(CONSOLE)]
    return [*argv, "-incoming", "defer"] if incoming else [*argv, "-S", *boot(spec.config, spec.images)]


class GuestPair:
    """Both QEMUs and the reader of both consoles; made by ``start_pair``. ``parameters`` is what was read back."""

    def __init__(self, source: QemuProcess, destination: QemuProcess, reader: HeartbeatReader, where: Layout) -> None:
        self.source = source
        self.destination = destination
        self.reader = reader
        self.layout = where
        self.parameters: dict[str, Scalar] = {}

    def run_guest(self, timeout_s: float) -> None:
        """Let the guest go on the source and wait until it has stamped its whole working set and beats undisturbed.

        :raises QemuError: it does not get there in time; its own words.
        """
        began_s = time.monotonic()
        self.source.qmp.execute("cont")
        said = self.reader.wait_said("source", _is_first_word, timeout_s, since_s=began_s)
        if isinstance(said, GuestFailure):
            raise QemuError(f"source: the guest does not run: {said.message}")
        self.reader.wait_beats("source", FIRST_BEATS, timeout_s, since_s=time.monotonic())

    def wait_after_resume(self, resume_monotonic_s: float, timeout_s: float) -> None:
        """Wait until the destination's guest has beaten often enough for its silence to be measured.

        :raises QemuError: it does not: it came over dead.
        """
        self.reader.wait_beats("destination", BEATS_AFTER, timeout_s, since_s=resume_monotonic_s)

    def ask_writes(self, side: str, timeout_s: float = 10.0) -> Writes:
        """How many pages the guest has written so far, by its own count. It answers at its next tick, in 10 ms if it keeps up.

        :raises QemuError: it does not answer.
        """
        since_s = time.monotonic()
        self.reader.send(side, Command.STATUS.value)
        said = self.reader.wait_said(side, _is_status, timeout_s, since_s=since_s)
        if not isinstance(said, Status):
            raise QemuError(f"{side}: the guest does not say what it wrote: {said}")
        return Writes(said.writes, time.monotonic())

    def check_guest(self, timeout_s: float = ANSWER_TIMEOUT_S) -> GuestCheck:
        """Have the guest on the destination check every page of its working set. Silence is a failed check, too."""
        since_s = time.monotonic()
        try:
            self.reader.send("destination", Command.VERIFY.value)
            said = self.reader.wait_said("destination", _is_verdict, timeout_s, since_s=since_s)
        except QemuError as exc:
            return GuestCheck(ok=False, line=str(exc))
        if isinstance(said, VerifyReport):
            return GuestCheck(said.ok, said.line)
        return GuestCheck(ok=False, line=f"guest: {said}")


@contextmanager
def start_pair(
    spec: GuestSpec,
    plan: MethodPlan,
    *,
    run_dir: Path,
    log_dir: Path,
    hosts: tuple[Host, Host] = (HERE, HERE),
    steered: bool = False,
) -> Iterator[GuestPair]:
    """Both QEMUs, set up as planned and read back, the source's guest loaded and not yet running; stopped at the end.

    ``run_dir`` holds the sockets: short and the caller's to remove. Logs are ``log_dir/source.log`` and
    ``destination.log``. ``hosts``: the source's and the destination's. ``steered``: the source has a second QMP
    socket, for a sender.

    :raises QemuError: a QEMU refuses or dies, or a setting did not take.
    """
    sides = {"source": plan.source, "destination": plan.destination}
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(
                QemuProcess(
                    name,
                    guest_argv(spec, sides[name], incoming=name == "destination"),
                    run_dir=run_dir,
                    log=log_dir / f"{name}.log",
                    host=host,
                    chardevs=[CONSOLE],
                    second_qmp=steered and name == "source",
                )
            )
            for name, host in zip(("source", "destination"), hosts, strict=True)
        }
        reader = HeartbeatReader({name: _feed() for name in started}, lambda event: isinstance(event, Heartbeat))
        stack.callback(reader.close)
        reader.connect({name: qemu.chardev_path(CONSOLE) for name, qemu in started.items()})
        pair = GuestPair(started["source"], started["destination"], reader, layout(spec.config))
        pair.parameters = apply_plan(plan, pair.source.qmp, pair.destination.qmp)
        yield pair


def _feed() -> Feed:
    console = Console()

    def events(data: bytes) -> list[Event]:
        console.receive_data(data)
        return list(iter(console.next_event, None))

    return events


def _is_first_word(event: object) -> bool:
    return isinstance(event, GuestFailure) or (isinstance(event, Status) and event.kind == "ready")


def _is_status(event: object) -> bool:
    return isinstance(event, GuestFailure) or (isinstance(event, Status) and event.kind == "status")


def _is_verdict(event: object) -> bool:
    return isinstance(event, VerifyReport | GuestFailure)
