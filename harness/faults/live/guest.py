"""A stress guest that is carried from QEMU to QEMU: which of them runs it, and is its memory right? Knows no pair, no fault."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from harness.errors import QemuError
from harness.guests.compare import Piece, Verdict
from harness.guests.console import Consoles, GuestFailure
from harness.guests.qemu_kind import CONSOLE
from harness.guests.stress import Command, Status, VerifyReport
from harness.guests.stress.kind import Stress, StressSettings
from harness.guests.verify import Dumped, verify
from harness.hosts.local import HERE
from harness.qemu.migration import listen
from harness.qemu.process import QemuProcess
from harness.qemu.qmp import Json
from harness.scenario.methods import QemuMethod
from harness.scenario.model import Scenario

_PATIENCE_S = 120.0
_UNLIMITED = 1 << 40
_CAPABILITIES = ("events", "return-path")


def open_stress(settings: StressSettings) -> Stress:
    """A guest that can be started. Raises as ``Stress.open``."""
    method = QemuMethod(name="live", baseline=True)
    guest = Stress(Scenario(name="live", description="a guest that is carried", guest=settings, method=(method,)))
    guest.open()
    return guest


class Site:
    """One QEMU that has the guest, had it, or waits for it."""

    def __init__(self, qemu: QemuProcess, consoles: Consoles) -> None:
        self.qemu = qemu
        self._consoles = consoles

    def qmp(self, command: str, /, **arguments: object) -> Json:
        """Its QEMU's answer. :raises QemuError: it refuses, or has ended."""
        asked: dict[str, Json] = arguments
        return self.qemu.qmp.execute(command, **asked)

    def runs(self) -> bool:
        """Whether a guest runs in it now, as it says itself. In a QEMU that has ended none does."""
        try:
            return bool(self.qemu.qmp.execute("query-status")["running"])
        except QemuError:
            if self.qemu.ended(1.0) is None:
                raise
            return False

    def status(self) -> str:
        """Of its migration; empty where it has ended."""
        try:
            return str(self.qemu.qmp.execute("query-migrate").get("status", "none"))
        except QemuError:
            if self.qemu.ended(1.0) is None:
                raise
            return ""

    def wait_ready(self, since_s: float) -> None:
        """Until its guest, which was booted here, writes. :raises QemuError: it does not."""
        said = self._consoles.wait_said(
            self.qemu.name,
            lambda event: isinstance(event, GuestFailure) or (isinstance(event, Status) and event.kind == "ready"),
            _PATIENCE_S,
            since_s=since_s,
        )
        if isinstance(said, GuestFailure):
            raise QemuError(f"{self.qemu.name}: the guest does not run: {said.message}")

    def check(self) -> Verdict:
        """What the guest that runs here finds of every page that it writes. :raises QemuError: it does not answer."""
        since_s = time.monotonic()
        self._consoles.send(self.qemu.name, Command.VERIFY.value)
        said = self._consoles.wait_said(
            self.qemu.name, lambda event: isinstance(event, VerifyReport | GuestFailure), _PATIENCE_S, since_s=since_s
        )
        if isinstance(said, VerifyReport):
            return said
        raise QemuError(f"{self.qemu.name}: {said}")

    @property
    def memory(self) -> Dumped:
        """Of its guest, to be compared with another's."""
        return Dumped(self.qemu.qmp, HERE, self.qemu.folder / f"{self.qemu.name}.ram")

    def close(self) -> None:
        """Its QEMU, whatever it does."""
        self.qemu.stop()
        self._consoles.close()


class LiveGuest:
    """Its QEMUs, the newest last, each called ``q`` and a number. A context manager, which ends them all."""

    def __init__(self, kind: Stress, folder: Path, *, max_bandwidth_bytes_per_s: int = _UNLIMITED) -> None:
        self.kind = kind
        self.sites: list[Site] = []
        self._folder = folder
        self._unwritten: list[bytes] = []
        self._max_bandwidth_bytes_per_s = max_bandwidth_bytes_per_s
        self._made = 0

    def boot(self) -> Site:
        """Where it runs first: until it writes."""
        site = self._site([*self.kind.arguments(boots=True), "-S"])
        since_s = time.monotonic()
        site.qemu.qmp.execute("cont")
        site.wait_ready(since_s)
        self._unwritten = self._digests(site)
        return site

    def _digests(self, site: Site) -> list[bytes]:
        """Of what it never writes."""
        return [site.memory.digests(Piece(part.start, part.bytes)) for part in self.kind.layout.compare]

    def is_right(self, site: Site) -> bool:
        """Whether all memory of the guest that runs here is as it was written last, as far as it can say, and as it was in the
        beginning where it writes nothing. :raises QemuError: it does not answer."""
        return site.check().ok and self._digests(site) == self._unwritten

    def await_at(self, uri: str, *, paused: bool = False) -> Site:
        """Where it may come to: a QEMU that listens at ``uri``. ``paused``: the guest does not go on there by itself."""
        site = self._site([*self.kind.arguments(boots=False), "-incoming", "defer", *(["-S"] if paused else [])])
        listen(site.qemu, uri)
        return site

    def _site(self, arguments: Sequence[str]) -> Site:
        name = f"q{self._made}"
        self._made += 1
        argv = [*self.kind.argv(), *arguments]
        qemu = QemuProcess(name, argv, run_dir=self._folder, chardevs=[CONSOLE], second_qmp=True)
        consoles = Consoles({name: self.kind.feed()})
        with contextlib.ExitStack() as undo:
            undo.callback(consoles.close)
            undo.enter_context(qemu)
            consoles.connect({name: qemu.chardev_path(CONSOLE)})
            switched = [{"capability": each, "state": True} for each in _CAPABILITIES]
            qemu.qmp.execute("migrate-set-capabilities", capabilities=switched)
            qemu.qmp.execute("migrate-set-parameters", **{"max-bandwidth": self._max_bandwidth_bytes_per_s})
            undo.pop_all()
        self.sites.append(Site(qemu, consoles))
        return self.sites[-1]

    def compare(self, before: Site, after: Site) -> list[Verdict]:
        """All memory where it stands still since it left, and where it is now: its guest is stopped there. Raises as ``verify``."""
        blocks = self.kind.given.guest_memory.blocks
        return verify(before.memory, after.memory, self.kind.layout, blocks=blocks, guest_checks=[after.check()])

    def end(self, site: Site) -> None:
        """One of them."""
        self.sites.remove(site)
        site.close()

    def __enter__(self) -> LiveGuest:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """All that are left."""
        while self.sites:
            self.end(self.sites[-1])


def until(true: Callable[[], bool], deadline_s: float) -> bool:
    """Whether it became true by that moment of the monotonic clock."""
    while not (found := true()) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return found
