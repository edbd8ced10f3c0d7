"""One fault to one process of a live migration, or to its link: which QEMU runs the guest afterwards, and is it right?"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import PageferryError
from harness.experiment.halves import Half
from harness.faults.contract import Cell, Rig
from harness.faults.judge import SEEN_S, SILENT_S, Facts, cell_of, where
from harness.faults.leftovers import left_since, look
from harness.faults.live.guest import LiveGuest, Site, open_stress, until
from harness.faults.live.scene import PHASES, Scene
from harness.faults.live.smalldisk import SmallDisk
from harness.faults.live.strikes import STRIKES, Strike
from harness.faults.live.wallclock import build
from harness.guests.stress.kind import Stress, StressSettings
from harness.hosts.rundir import open_scratch
from harness.links.netns import NetnsLink
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.qemu.migration import migrate
from harness.results.faults import FaultCell, Where

_PATIENCE_S = 90.0
_MIB = 1 << 20
_GUEST = StressSettings(
    memory=48 * _MIB, working_set=8 * _MIB, dirty_rate=24 * _MIB, fill={"text": 0.5, "heap": 0.2, "zero": 0.3}
)
_BACKENDS = ("zlib", "zstd", "zstd-long", "none")
"""They take turns, by the cell."""


class ProcessRig(Rig):
    """Two QEMUs with our own guest, ``pageferry send`` and ``pageferry receive``."""

    title = "the processes of a migration: both QEMUs, `pageferry send`, `pageferry receive`"
    quick_cells = 10
    parties: tuple[str, ...] = ("sender", "receiver", "source", "destination")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._kind: Stress = open_stress(_GUEST)

    @classmethod
    def faults(cls) -> Mapping[str, str]:
        """To one of its parties."""
        return {name: strike.title for name, strike in STRIKES.items() if strike.party in cls.parties}

    @classmethod
    def phases(cls) -> Mapping[str, str]:
        """By what the stream has shown."""
        return PHASES

    @classmethod
    def pairs(cls) -> Iterator[tuple[str, str]]:
        """Before the migration a QEMU is none of the pair's business, and behind it the halves are gone. What is so from the
        beginning on has one phase."""
        for fault, phase in super().pairs():
            strike = STRIKES[fault]
            if strike.loss and phase != "ready":
                continue
            of_qemu = strike.party in ("source", "destination")
            if (phase == "ready" and of_qemu) or (phase == "completed" and not (of_qemu and strike.kills)):
                continue
            yield fault, phase

    @classmethod
    def missing(cls) -> str | None:
        """QEMU, or what our guest needs."""
        try:
            open_stress(_GUEST)
        except PageferryError as exc:
            return str(exc)
        return None

    def run(self, cell: Cell) -> FaultCell:
        """Do it, and judge."""
        strike = STRIKES[cell.fault]
        backend = random.Random(f"{cell.seed} {cell.id}").choice(_BACKENDS)  # noqa: S311 - to be repeated
        before = look(self.folder)
        folder = self.folder / "c"
        folder.mkdir()
        try:
            with Scene(self._kind, folder, strike, cell.phase, backend) as scene:
                applied = scene.reach()
                facts, lines = self._struck(scene, strike, cell.phase)
        finally:
            shutil.rmtree(folder)
        facts = replace(facts, left=left_since(before, self.folder))
        return cell_of(cell, facts, applied=applied, **lines)

    def _struck(self, scene: Scene, strike: Strike, phase: str) -> tuple[Facts, dict[str, str]]:
        struck_s = scene.strike()
        over = scene.over_by(time.monotonic() + _PATIENCE_S)
        verdict_s = time.monotonic() - struck_s if over else None
        source, destination = scene.runs()
        bugs, lines = tuple(scene.bugs()), {half.name: scene.line(half) for half in scene.halves}
        runs = where(source=source, destination=destination, held=scene.holds is not None or scene.given_back)
        if runs == "neither" and _died(scene, strike, phase):
            runs = "died"
        here = self._left_alone(scene, runs)
        memory = scene.guest.is_right(here) if here is not None else None
        again = self._again(scene.guest, here)
        limit_s = SILENT_S if strike.silent else _PATIENCE_S if strike.loss else SEEN_S
        return Facts(runs, memory, verdict_s, limit_s, bugs, (), again), lines

    @staticmethod
    def _left_alone(scene: Scene, runs: Where) -> Site | None:
        """Where the guest runs, once all else of its migration has ended, as a user would end it. None: nowhere."""
        scene.tap.close()
        if runs == "destination":
            scene.guest.end(scene.source)
        else:
            scene.guest.end(scene.destination)
        for half in scene.halves:
            half.stop()
        if runs == "held":
            if scene.given_back:
                scene.source.qmp("cont")
            until(scene.source.runs, time.monotonic() + _PATIENCE_S)
        return {"source": scene.source, "held": scene.source, "destination": scene.destination}.get(runs)

    def _again(self, guest: LiveGuest, here: Site | None) -> bool:
        """Whether it can be migrated once more, or one like it where it died with its QEMU."""
        here = here or guest.boot()
        folder = here.qemu.folder / "again"
        folder.mkdir()
        there = guest.await_at(f"unix:{folder}/d")
        receiver = Half(ReceiveConfig(f"unix:{folder}/link", f"unix:{folder}/d"), run_dir=folder)
        sender = Half(SendConfig(f"unix:{folder}/s", f"unix:{folder}/link", "zlib"), run_dir=folder)
        try:
            for half in (receiver, sender):
                half.start()
                half.wait_ready()
            outcome = migrate(here.qemu, there.qemu, f"unix:{folder}/s", timeout_s=_PATIENCE_S)
            return outcome.status == "completed" and guest.is_right(there)
        except PageferryError:
            return False
        finally:
            sender.stop()
            receiver.stop()


class LinkRig(ProcessRig):
    """The same in two network namespaces."""

    title = "the link of a live migration, between two network namespaces"
    quick_cells = 2
    parties = ("link",)

    @classmethod
    def missing(cls) -> str | None:
        """Root, too."""
        return NetnsLink.missing() or super().missing()


class HostRig(ProcessRig):
    """The same where one of the halves' hosts has another clock than it had, or no room."""

    title = "what the hosts of a live migration have: room on a disk, and a wall clock"
    quick_cells = 2
    parties = ("disk", "clocks")

    @classmethod
    def missing(cls) -> str | None:
        """Root, and a compiler, too."""
        try:
            with open_scratch() as folder, SmallDisk():
                build(folder)
        except PageferryError as exc:
            return str(exc)
        return super().missing()


def _died(scene: Scene, strike: Strike, phase: str) -> bool:
    """Whether the guest ran in the QEMU that was killed, and nowhere else was all of it."""
    if not strike.kills:
        return False
    if strike.party == "source":
        return not scene.tap.passed_all
    return strike.party == "destination" and phase == "completed"
