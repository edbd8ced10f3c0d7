"""Two QEMUs with a stress guest, and the pair's halves as processes between them, each started when a test wants it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.experiment.halves import Half
from harness.guests.compare import Verdict
from harness.guests.contract import Place
from harness.guests.native import MethodPlan, SideSettings
from harness.guests.qemu_ends import QemuEnds
from harness.guests.stress import StressConfig
from harness.guests.stress.kind import Stress, StressSettings
from harness.hosts.local import HERE
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.qemu.process import QemuProcess
from harness.scenario.methods import QemuMethod
from harness.scenario.model import Scenario

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
CONFIG = StressConfig(memory_bytes=64 * MIB, working_set_bytes=16 * MIB, dirty_rate_bytes_per_s=MIB)
FILL = {"text": 0.5, "heap": 0.3, "zero": 0.2}
PATIENCE_S = 60.0
UNLIMITED = 1 << 40


def stress_guest(config: StressConfig, fill: Mapping[str, float]) -> Stress:
    """Opened, as a scenario's would be."""
    guest = unopened_guest(config, fill)
    guest.open()
    return guest


def unopened_guest(config: StressConfig, fill: Mapping[str, float]) -> Stress:
    """A scenario's."""
    given = StressSettings(
        memory=config.memory_bytes,
        working_set=config.working_set_bytes,
        dirty_rate=config.dirty_rate_bytes_per_s,
        fill=dict(fill),
    )
    method = QemuMethod(name="any", baseline=True)
    return Stress(Scenario(name="two", description="two guests", guest=given, method=(method,)))


@contextmanager
def two_guests(
    run_dir: Path,
    *,
    capabilities: tuple[str, ...] = (),
    source: Mapping[str, int | str] | None = None,
    destination: Mapping[str, int | str] | None = None,
    steered: bool = False,
    switch_after_passes: int | None = None,
    config: StressConfig = CONFIG,
    fill: Mapping[str, float] = FILL,
) -> Iterator[QemuEnds]:
    """The source's guest runs; the destination waits to be told where to listen. ``source``, ``destination``: its parameters."""
    switched = dict.fromkeys(("events", "return-path", *capabilities), True)
    plan = MethodPlan(
        SideSettings(switched, {"max-bandwidth": UNLIMITED, **(source or {})}),
        SideSettings(switched, {"max-bandwidth": UNLIMITED, **(destination or {})}),
        switch_after_passes=switch_after_passes,
        traces_requests=switch_after_passes is not None,
    )
    guest = stress_guest(config, fill)
    with guest.start(plan, Place(run_dir, HERE, HERE), steered=steered) as guests:
        guests.run_guest(PATIENCE_S)
        yield guests


def checked(guests: QemuEnds) -> Verdict:
    """What the guest on the destination finds when it checks itself."""
    (verdict,) = guests.kind.check(guests.consoles)
    return verdict


@dataclass
class Halves:
    """``receive`` and ``send``, joined by a unix socket, and the two sockets that QEMU is to use."""

    receiver: Half
    sender: Half
    source: Path
    destination: Path

    def start(self) -> None:
        """Until both are ready."""
        for half in (self.receiver, self.sender):
            half.start()
            half.wait_ready()


@contextmanager
def two_halves(run_dir: Path, name: str, qmp: Path | None = None) -> Iterator[Halves]:
    """Not yet started; stopped at the end. ``qmp``: the source QEMU's, which is steered to the shortest downtime."""
    folder = run_dir / name
    folder.mkdir()
    link, source, destination = folder / "link", folder / "s", folder / "d"
    steering = {} if qmp is None else {"qmp": f"unix:{qmp}", "downtime_s": "shortest", "downtime_cost_share": 0.1}
    halves = Halves(
        Half(ReceiveConfig(f"unix:{link}", f"unix:{destination}"), run_dir=folder),
        Half(SendConfig(f"unix:{source}", f"unix:{link}", "zlib", **steering), run_dir=folder),
        source,
        destination,
    )
    try:
        yield halves
    finally:
        halves.sender.stop()
        halves.receiver.stop()


def wait_status(qemu: QemuProcess, *wanted: str) -> str:
    """Until ``query-migrate`` says one of these."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (status := qemu.qmp.execute("query-migrate").get("status", "none")) not in wanted:
        assert time.monotonic() < deadline_s, f"{qemu.name}: {status} instead of {' or '.join(wanted)}"
        time.sleep(0.02)
    return str(status)


def wait_words(half: Half, words: str) -> None:
    """Until a half has said them."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not half.log.exists() or words not in half.log.read_text():
        assert time.monotonic() < deadline_s, f"{half.name} does not say: {words}"
        time.sleep(0.02)
