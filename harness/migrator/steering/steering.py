"""Steers what the source QEMU believes, over its QMP, while pages flow. What to set is ``switchover``'s to decide, or, for
the shortest downtime, ``shortest``'s.

Gives every parameter back at the end, however that comes: the guest then runs on the source as its owner set it up. QMP that
fails in mid-migration ends the steering, not the migration: what was set is given back as soon as QEMU is to be had again, since
with it a guest may never be stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Literal

from harness.errors import PageferryError, QemuError, UserError
from harness.migrator.monitor import check_monitor, open_monitor
from harness.migrator.report import SteeringReport
from harness.migrator.steering.borrowed import Borrowed
from harness.migrator.steering.shortest import FLOOR_S, Progress, Shortest
from harness.migrator.steering.switchover import Decision, Flow, Knob, Switchover
from harness.qemu.qmp import Json, Qmp
from harness.units import PAGE_BYTES

_ANSWER_TIMEOUT_S = 5.0
"""Beyond the wanted downtime, during which QEMU answers nobody."""

_END_LOOKS, _END_LOOK_S = 20, 0.05
_AGAIN_S = 0.3
"""Until QEMU is asked again after a failure. One that comes so shortly before the migration's end is none: QEMU may end with it."""

_LARGEST_S = 2000.0
FlowSource = Callable[[], tuple[int, int, float]]
"""Bytes of the stream that the destination has, bytes under way, and the link's round trip in seconds."""


def _nothing_known() -> tuple[int, int, float]:
    """Of QEMU alone: what it sent has arrived."""
    return 0, 0, 0.0


def _nothing(_: object) -> None:
    """Nobody is to be told."""


@contextmanager
def open_steering(
    address: str,
    downtime_s: float | Literal["shortest"] | None,
    cost_share: float = 0.0,
    say: Callable[[str], None] = _nothing,
) -> Iterator[Steering]:
    """Connected, and QEMU asked what can be set. Every parameter is given back at the end. ``cost_share``: as ``Shortest``'s.
    ``say`` gets a line when QMP fails in mid-migration, and when it is to be had again.

    :raises QemuError: not QMP, not to be had, or it refuses. :raises UserError: no unix socket. :raises MissingError: none there.
    """
    check_monitor(address)
    if isinstance(downtime_s, float) and downtime_s > _LARGEST_S:
        raise UserError(f"--downtime {downtime_s:g}s: QEMU takes at most {_LARGEST_S:g} s")
    steering = Steering(lambda: open_monitor(address, "source"), say)
    try:
        if downtime_s == "shortest":
            steering.prepare_shortest(cost_share)
        else:
            steering.prepare(downtime_s)
        yield steering
    except PageferryError as exc:
        if (line := steering.end()) is not None:
            raise type(exc)(f"{exc}; {line}") from exc
        raise
    finally:
        steering.close()


class Steering:
    """One migration's. Threads: the caller's, and between ``begin`` and ``end`` one of its own."""

    def __init__(self, connect: Callable[[], Qmp], say: Callable[[str], None]) -> None:
        self._borrowed = Borrowed(connect, lambda: self._switchover.longest_s + _ANSWER_TIMEOUT_S)
        self._say = say
        self._knob = Knob.LIMIT
        self._switchover: Switchover | Shortest = Switchover(1.0, self._knob)
        self._wanted_s: float | None = None
        self._claimed_s: float | None = None
        self._calm: Callable[[bool], None] = _nothing
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._ended = False
        self._decisions: list[Decision] = []
        self._counters = {"steer_changes": 0, "steer_taken_over": 0, "steer_failures": 0}
        self._ended_early: str | None = None
        self._began_s = 0.0

    def prepare(self, downtime_s: float | None) -> None:
        """Ask what there is to set, and set the wanted downtime if it is another than QEMU's. :raises QemuError: QEMU refuses."""
        found = self._ask_owner()
        wanted_ms = found[Knob.LIMIT.value] if downtime_s is None else max(1, round(downtime_s * 1000))
        if wanted_ms == 0:
            raise QemuError(
                f"{self._borrowed.name}: this QEMU's downtime-limit is 0, which no guest meets; say --downtime 300ms"
            )
        self._switchover = Switchover(wanted_ms / 1000, self._knob)
        self._wanted_s = self._switchover.wanted_s
        if wanted_ms != found[Knob.LIMIT.value]:
            self._borrowed.set(Knob.LIMIT.value, wanted_ms)

    def prepare_shortest(self, cost_share: float) -> None:
        """The same for a downtime as short as the guest allows: until its pages are known, next to nothing may be left."""
        found = self._ask_owner()
        self._switchover = Shortest(found[Knob.LIMIT.value] / 1000, cost_share, self._knob)
        self._borrowed.set(Knob.LIMIT.value, round(FLOOR_S * 1000))

    def _ask_owner(self) -> dict[str, int]:
        self._borrowed.open()
        found = self._borrowed.owners
        self._knob = Knob.BANDWIDTH if Knob.BANDWIDTH.value in found else Knob.LIMIT
        return found

    def begin(self, flow: FlowSource = _nothing_known, calm: Callable[[bool], None] = _nothing) -> None:
        """Steer by ``flow`` until ``end``. ``calm`` is told, again and again, whether the guest may be stopped at any moment."""
        self._calm = calm
        self._began_s = time.monotonic()
        self._thread = threading.Thread(target=self._steer, args=(flow,), name="steer", daemon=True)
        self._thread.start()

    def end(self) -> str | None:
        """Stop, and give every parameter back; the line to tell where that failed. Safe to call twice."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()  # it waits for nothing longer than for an answer
        if self._ended:
            return None
        self._ended = True
        try:
            self._borrowed.give_back()
        except PageferryError as exc:
            return f"the source QEMU did not get its own value back: {self._borrowed.standing} ({exc}); set it there by hand"
        return None

    def close(self) -> None:
        """``end``, and disconnect."""
        self.end()
        self._borrowed.close()

    def finish(self) -> None:
        """``end`` of a migration that came to its own, of which QEMU is asked what the downtime was: it may know a moment later."""
        if (line := self.end()) is not None:
            if self._ended_early is not None:  # else QEMU ended with its migration, and needs nothing back
                self._say(f"warning: {line}")
            return
        with suppress(QemuError):  # a source that is gone by now tells nothing
            for _ in range(_END_LOOKS if isinstance(self._switchover, Shortest) else 0):
                status = self._borrowed.ask("query-migrate")
                if status.get("status") == "completed" and "downtime" in status:
                    self._claimed_s = status["downtime"] / 1000
                    return
                time.sleep(_END_LOOK_S)

    def report(self) -> SteeringReport:
        """Of the whole migration, once it has ended."""
        return SteeringReport(
            self._knob.value,
            self._wanted_s,
            dict(self._borrowed.owners),
            self._borrowed.restored,
            tuple(replace(decision, at_s=decision.at_s - self._began_s) for decision in self._decisions),
            self._why_early(),
            self._decisions[-1].predicted_downtime_s if self._decisions else None,
            self._claimed_s,
            **self._counters,
        )

    def _why_early(self) -> str | None:
        if self._ended_early is None or not self._counters["steer_failures"]:
            return self._ended_early
        return f"{self._ended_early}; {self._borrowed.standing or 'QEMU has its own values back'}"

    def _steer(self, flow: FlowSource) -> None:
        while not self._ending.wait(self._switchover.look_again_s):
            try:
                self._turn(flow)
            except PageferryError as exc:
                if not self._ending.wait(_AGAIN_S):
                    self._fail(exc)
                return

    def _fail(self, exc: PageferryError) -> None:
        self._ended_early = str(exc)
        self._counters["steer_failures"] += 1
        standing = self._borrowed.standing
        self._say(
            f"warning: the migration goes on and is steered no more: {exc}"
            + (f"; {standing}, which it gets back as soon as it answers" if standing else "")
        )
        while not self._ending.is_set():
            with suppress(PageferryError):
                self._borrowed.give_back()
                if standing:
                    self._say(
                        "the source QEMU answers again, and has its own values back; its migration goes on without steering"
                    )
                return
            self._ending.wait(_AGAIN_S)

    def _turn(self, flow: FlowSource) -> None:
        status = self._borrowed.ask("query-migrate")
        if status.get("status") == "completed":
            self._ending.set()  # nothing is left to steer, and QEMU may be gone at any moment
        if status.get("status") != "active":
            return
        if (decision := self._decision(status, flow)) is None or self._taken_over():
            return
        self._borrowed.set(decision.parameter, decision.value)
        self._counters["steer_changes"] += 1
        self._decisions.append(decision)

    def _decision(self, status: Json, flow: FlowSource) -> Decision | None:
        delivered_bytes, in_flight_bytes, round_trip_s = flow()
        believed, now_s = float(status.get("ram", {}).get("mbps", 0)) * 1e6 / 8, time.monotonic()
        if isinstance(self._switchover, Switchover):
            return self._switchover.look(Flow(now_s, delivered_bytes, in_flight_bytes, believed, round_trip_s))
        decision = self._switchover.look(_progress(status, now_s, in_flight_bytes, believed))
        self._calm(self._switchover.closing)
        return decision

    def _taken_over(self) -> bool:
        """Whether somebody else set a parameter meanwhile: from now on that is what is wanted, and what is given back."""
        if not (theirs := self._borrowed.taken_over()):
            return False
        self._counters["steer_taken_over"] += 1
        if isinstance(self._switchover, Shortest):
            self._borrowed.give_back()  # the other one was made for ours
            what = " and ".join(f"{name} to {value}" for name, value in theirs.items())
            self._ended_early = f"somebody else set {what}, and from then on it was left to them"
            self._ending.set()
            return True
        self._switchover.wanted_s = max(1, theirs.get(Knob.LIMIT.value, round(self._switchover.wanted_s * 1000))) / 1000
        self._wanted_s = self._switchover.wanted_s
        self._switchover.forget()
        return True


def _progress(status: Json, now_s: float, in_flight_bytes: int, believed_bytes_per_s: float) -> Progress:
    """Pages that QEMU compressed itself (the capabilities "compress" and "xbzrle") are counted apart from the rest."""
    ram = status.get("ram", {})
    apart = [status.get(way, {}).get("pages", 0) for way in ("compression", "xbzrle-cache")]
    return Progress(
        now_s,
        ram.get("dirty-sync-count", 0),
        ram.get("remaining", 0),
        (ram.get("normal", 0) + sum(apart)) * ram.get("page-size", PAGE_BYTES),
        in_flight_bytes,
        believed_bytes_per_s,
    )
