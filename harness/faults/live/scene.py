"""One migration of a live guest through two processes of ours, up to a phase: all that a fault can strike, and what each says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from harness.errors import QemuError
from harness.experiment.halves import Half
from harness.faults.live.guest import LiveGuest, Site, until
from harness.faults.live.smalldisk import SmallDisk
from harness.faults.live.strikes import Party, Strike, Struck
from harness.faults.live.tap import At, Tap
from harness.faults.live.wallclock import WallClock, build
from harness.guests.stress.kind import Stress
from harness.hosts.contract import Host
from harness.hosts.local import HERE
from harness.links.netns import NetnsLink, NetnsSettings
from harness.migrator.config import ReceiveConfig, SendConfig

PHASES: dict[str, str] = {
    "ready": "both halves are ready, and nothing is migrated yet",
    "first-pass": "in the first pass over memory",
    "later-pass": "in a later pass",
    "guest-stopped": "in the last pass, while the guest stands still",
    "device-state": "the stream's last bytes, before the destination QEMU has them",
    "confirmed": "the destination QEMU has all, and its word is under way to the source",
    "completed": "the migration is over",
}
_PATIENCE_S = 60.0
_LINGER_S = 3.0
_SLOW_BYTES_PER_S, _UNLIMITED = 12 << 20, 1 << 40
_SETTLED_S = 0.5
_HOLDS = "the source's guest stands still"
_WAITS = "; waiting for the next sender"


class Scene:
    """A context manager. ``source`` and ``destination``: the guest's QEMUs."""

    def __init__(self, kind: Stress, folder: Path, strike: Strike, phase: str, backend: str) -> None:
        self._strike, self._phase = strike, phase
        self._folder, self._backend = folder, backend
        self._open = ExitStack()
        self.guest = LiveGuest(kind, folder)
        self._link = NetnsLink(NetnsSettings(loss=strike.loss)) if strike.party == "link" else None
        self._disk = SmallDisk() if strike.party == "disk" else None
        self._clocks: dict[Party, WallClock] = {}
        self._sockets = folder if self._disk is None else self._disk.path
        self.source: Site
        self.destination: Site
        self.tap: Tap
        self.halves: tuple[Half, Half]

    def __enter__(self) -> Scene:
        """Both halves are ready, and the source's guest runs."""
        with ExitStack() as stack:
            stack.enter_context(self.guest)
            self.source = self.guest.boot()
            self.destination = self.guest.await_at(f"unix:{self._folder}/d")
            at = next((each for each in At if each.value == self._phase), None)
            self.tap = stack.enter_context(Tap(self._folder / "t", self._folder / "d", at))
            self._start_halves(stack)
            self._open = stack.pop_all()
        return self

    def _start_halves(self, stack: ExitStack) -> None:
        near, far = self._hosts(stack)
        listen = f"unix:{self._sockets}/link" if self._link is None else f"tcp:{far.address}:0"
        qmp = f"unix:{self.destination.qemu.qmp_for_others}"
        heard = ReceiveConfig(listen, f"unix:{self._folder}/t", linger_s=_LINGER_S, insecure=True, qmp=qmp)
        receiver = Half(heard, run_dir=self._folder, host=far)
        stack.callback(receiver.stop)
        receiver.start()
        ready = receiver.wait_ready().removeprefix("listening on ")
        said = SendConfig(f"unix:{self._sockets}/s", ready, self._backend, insecure=True)
        sender = Half(said, run_dir=self._folder, host=near)
        stack.callback(sender.stop)
        sender.start()
        sender.wait_ready()
        self.halves = sender, receiver

    def _hosts(self, stack: ExitStack) -> tuple[Host, Host]:
        """The sender's and the receiver's, with all that the strike needs of them."""
        if self._link is not None:
            stack.enter_context(self._link)
            return self._link.source, self._link.destination
        if self._disk is not None:
            host = stack.enter_context(self._disk).keeping(HERE)
            return host, host
        if self._strike.party != "clocks":
            return HERE, HERE
        library = build(self._folder)
        near, far = (WallClock(library, self._folder / f"{party}.clock") for party in ("sender", "receiver"))
        self._clocks = {"sender": near, "receiver": far}
        return near.clocked(HERE), far.clocked(HERE)

    def reach(self) -> bool:
        """Migrate until the phase. False: it was over before."""
        if self._phase == "ready":
            return True
        slow = self._phase == "later-pass"
        self.source.qmp("migrate-set-parameters", **{"max-bandwidth": _SLOW_BYTES_PER_S if slow else _UNLIMITED})
        self.migrate()
        deadline_s = time.monotonic() + _PATIENCE_S
        if slow:
            return until(self._is_late, deadline_s) and self.source.status() == "active"
        if self._phase == "completed":
            return until(lambda: self.source.status() == "completed" and self.destination.runs(), deadline_s)
        # Its source QEMU is not asked: one that writes its last pass answers nobody before that is taken.
        until(lambda: self.tap.held.is_set() or any(half.ended() for half in self.halves), deadline_s)
        return self.tap.held.is_set()

    def _is_late(self) -> bool:
        told = self.source.qmp("query-migrate")
        return bool(told.get("status") != "active" or told.get("ram", {}).get("dirty-sync-count", 0) > 2)

    def migrate(self) -> None:
        """Ask for it."""
        self.source.qmp("migrate", uri=f"unix:{self._sockets}/s")

    def strike(self) -> float:
        """When it did, on the monotonic clock. Then the migration may go on as fast as it can, if it can."""
        sender, receiver = self.halves
        pids: dict[Party, int] = {
            "sender": sender.child.pid, "receiver": receiver.child.pid,
            "source": self.source.qemu.pid, "destination": self.destination.qemu.pid,
        }  # fmt: skip
        at_s = time.monotonic()
        host = None if self._link is None else self._link.source
        self._strike.apply(Struck(pids, host, self.tap.release, self._disk, self._clocks))
        self.tap.release()
        if self._phase in ("ready", "later-pass"):
            self._go_on()
        return at_s

    def _go_on(self) -> None:
        try:
            self.source.qmp("migrate-set-parameters", **{"max-bandwidth": _UNLIMITED})
            if self._phase == "ready":
                self.migrate()
        except QemuError:  # it was struck, or nobody takes its migration
            return

    def over_by(self, deadline_s: float) -> bool:
        """Whether both halves have ended, but for a sender that holds the guest and a receiver that waits for the next sender."""
        sender, receiver = self.halves
        over = until(lambda: sender.ended() or self.holds is not None, deadline_s)
        return over and until(lambda: receiver.ended() or _WAITS in self.log(receiver), deadline_s)

    @property
    def holds(self) -> str | None:
        """The line of a sender that keeps the source's guest still."""
        sender = self.halves[0]
        lines = (line for line in self.log(sender).splitlines() if _HOLDS in line)
        return None if sender.ended() else next(lines, None)

    @property
    def given_back(self) -> bool:
        """The source's guest stands still for good, and a line says that it may go on."""
        return "say `cont` at the source QEMU" in self.log(self.halves[0])

    def runs(self) -> tuple[bool, bool]:
        """Whether the guest runs at the source, and at the destination, once that changes no more."""
        deadline_s, seen = time.monotonic() + _PATIENCE_S, (False, False)
        while time.monotonic() < deadline_s:
            before, seen = seen, (self.source.runs(), self.destination.runs())
            if before == seen and (any(seen) or self.holds or not self._strike_spares_one()):
                break
            time.sleep(_SETTLED_S)
        return seen

    def _strike_spares_one(self) -> bool:
        """Whether a guest must run in the end."""
        return self._strike.party not in ("source", "destination") or not self._strike.kills

    @staticmethod
    def log(half: Half) -> str:
        """All that it said."""
        return half.log.read_text() if half.log.exists() else ""

    def line(self, half: Half) -> str:
        """With which it ended; of one that goes on, what it said last."""
        if half is self.halves[0] and self.holds is not None:
            return self.holds
        if (error := half.failed()) is not None:
            return str(error).removeprefix(f"{half.name}: ")
        said = self.log(half).strip().splitlines()
        return (said[-1] if said else "nothing").removeprefix("pageferry: ")

    def bugs(self) -> Iterator[str]:
        """What no user should see, and a failure whose cause is not told."""
        for half in self.halves:
            log = self.log(half)
            if "Traceback" in log or "a bug in pageferry" in log:
                yield f"a bug: the {half.name} says: {self.line(half)}"
            elif (half.failed() is not None or _WAITS in log) and self._strike.cause not in self.line(half):
                yield f"the {half.name} does not name the cause: {self.line(half)}"

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Everything goes."""
        self._open.close()
