"""The user's own guest as a kind of guest: booted once to see that it gets ready, then migrated like any other."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from harness.errors import QemuError
from harness.guests.accel import Accel, beats, probe_accel
from harness.guests.compare import Verdict
from harness.guests.console import Consoles, Feed, GuestFailure
from harness.guests.contract import Place
from harness.guests.image.console import Begun, Line, SerialConsole
from harness.guests.image.disk import OVERLAY_BYTES, check_written_disks, make_overlay
from harness.guests.image.ready import AGENT, device_arguments, open_probe, sought
from harness.guests.image.settings import ImageSettings, is_linux
from harness.guests.linux.trial import KernelTrial
from harness.guests.qemu_guest import QemuGuest
from harness.guests.qemu_kind import CONSOLE, Pulse, Sides
from harness.guests.start import start_alone
from harness.hosts.local import HERE
from harness.hosts.rundir import open_scratch
from harness.qemu.process import QemuProcess
from harness.scenario.model import Scenario
from harness.terminal import one_line

_LOOK_S = 0.25
_ALIVE_TIMEOUT_S = 60.0
_LAST_LINES = 3


class Image(QemuGuest):
    """Nothing is known of what it does, so that all of its memory is compared while it stands still."""

    settings = ImageSettings
    summary = "your own kernel or disk, all of its memory compared while it stands still"

    def __init__(self, scenario: Scenario) -> None:
        given = self.given_by(scenario, ImageSettings)
        super().__init__(scenario, given)
        self._given = given
        self.folder_bytes = 0 if given.disk is None else OVERLAY_BYTES
        self.holds = given.verify
        self.ready_timeout_s = given.ready.timeout_s
        self.chardevs = (CONSOLE,) if given.ready.agent is None else (CONSOLE, AGENT)
        self.pulse = None if given.progress is None else Pulse(before=2, after=1)

    def open(self) -> None:
        """Boots it once, so that a guest that does not get ready is found before the first run.

        :raises MissingError: as every QEMU's guest. :raises QemuError: it does not get ready. :raises UserError: a disk is wrong.
        """
        super().open()
        if self._given.accel == "auto" and self.accel.name == "kvm":
            self.accel = self._accel_of_kernel()
        if self._given.accel == "auto" and self.accel.name == "kvm":
            most = f"for {self.ready_timeout_s:g} s at most"
            self.tell(f'trying whether this guest gets ready under KVM, {most}; guest.accel = "tcg" leaves that out')
            try:
                self._boot_once()
            except QemuError as exc:
                self.accel = Accel(
                    "tcg", "qemu64", f"under KVM ({self.accel.reason}) this guest does not get ready: {exc}"
                )
            else:
                return
        self._boot_once()

    def _accel_of_kernel(self) -> Accel:
        """TCG where a Linux kernel is seen to run under that and not under KVM, which costs less than to wait for its guest."""
        if self._given.kernel is None or not is_linux(Path(self._given.kernel)):
            return self.accel
        trial = KernelTrial(Path(self._given.kernel))
        found = probe_accel(self._given.qemu, trial, "auto", (self.accel.cpu,))
        runs = found.name == "kvm" or beats(self._given.qemu, found, trial, self.ready_timeout_s)
        return found if runs else self.accel

    def _boot_once(self) -> None:
        with (
            open_scratch(self.folder_bytes) as folder,
            start_alone(self, self.argv(), Place(folder, HERE, HERE)) as sides,
        ):
            qmp = sides.qemus["source"].qmp
            check_written_disks(qmp, folder)
            qmp.execute("cont")
            self.wait_ready(sides, time.monotonic(), self.ready_timeout_s)
            self._wait_progress(sides)

    def _wait_progress(self, sides: Sides) -> None:
        """It must say what it says while it works, too. :raises QemuError: it does not."""
        if self.pulse is None or self._given.progress is None:
            return
        try:
            sides.consoles.wait_beats("source", self.pulse.before, self.ready_timeout_s, since_s=time.monotonic())
        except QemuError as exc:
            unlike = f"its console said too little like guest.progress.serial {self._given.progress.serial!r}"
            raise QemuError(f"{exc}: {unlike}; {_last_words(sides.consoles, 'source')}") from exc

    def prepare(self, folder: Path) -> list[str]:
        """Its disk's overlay."""
        return [] if self._given.disk is None else make_overlay(Path(self._given.disk), folder)

    def arguments(self, *, boots: bool) -> list[str]:  # noqa: ARG002 - a kernel is no part of memory: both may have it
        """No devices but those that were asked for."""
        given = self._given
        argv = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", f"chardev:{CONSOLE}"]
        for option in ("kernel", "initrd", "append"):
            if value := getattr(given, option):
                argv += [f"-{option}", value]
        return [*argv, *device_arguments(given.ready), *given.arguments]

    def feed(self) -> Feed:
        """Lines, and among them those that the scenario names."""
        ready, progress = self._given.ready.serial, self._given.progress
        return SerialConsole(
            None if ready is None else re.compile(ready), None if progress is None else re.compile(progress.serial)
        ).feed

    def wait_ready(self, sides: Sides, since_s: float, timeout_s: float) -> None:
        """As the scenario says how to see it."""
        self._wait_answer(sides, "source", since_s, timeout_s)

    def compare(self, sides: Sides) -> Sequence[Verdict]:
        """Every RAM block, where the scenario does not do without."""
        return self.compare_all(sides) if self._given.verify else ()

    def wait_alive(self, sides: Sides) -> None:
        """It answers over its network, or by its agent; what only its console says it says once."""
        if self._given.ready.serial is None:
            self._wait_answer(sides, "destination", time.monotonic(), _ALIVE_TIMEOUT_S)
        else:
            _check_runs(sides, "destination")

    def _wait_answer(self, sides: Sides, side: str, since_s: float, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with open_probe(self._given.ready, sides, side, since_s) as answered:
            while not answered(_LOOK_S):
                _check_runs(sides, side)
                if time.monotonic() > deadline_s:
                    why = f"the guest is not ready within {timeout_s:g} s: {sought(self._given.ready)}"
                    raise QemuError(f"{side}: {why}; {_last_words(sides.consoles, side)}")


def _check_runs(sides: Sides, side: str) -> None:
    """:raises QemuError: the guest said that it does not, QEMU has ended, or has stopped it by itself."""
    for said in sides.consoles.said(side):
        if isinstance(said, GuestFailure):
            raise QemuError(f"{side}: the guest does not run: {said.message}")
    why = _stopped(sides.qemus[side])
    if why is not None:
        raise QemuError(f"{side}: {why}; {_last_words(sides.consoles, side)}")


def _stopped(qemu: QemuProcess) -> str | None:
    """Why its guest does not run; None: it does."""
    try:
        status = qemu.qmp.execute("query-status")
    except QemuError:
        if (ended := qemu.ended(wait_s=1.0)) is None:
            raise
        return f"{ended}: the guest shut down or started anew, perhaps for want of memory: write more as guest.memory"
    return None if status["running"] else f"QEMU stopped the guest by itself: {status['status']}"


def _last_words(consoles: Consoles, side: str) -> str:
    said = consoles.said(side)
    lines = [
        event.text for event in said if isinstance(event, Line) or (event is said[-1] and isinstance(event, Begun))
    ]
    last = " | ".join(lines[-_LAST_LINES:])
    return one_line(f"its console's last lines: {last}") if lines else "its serial console said nothing"
