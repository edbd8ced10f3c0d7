"""What a rig is: a way to make a migration, do something to it at a phase, and judge. A cell: one fault at one phase of one rig."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.results.faults import FaultCell


@dataclass(frozen=True, slots=True)
class Cell:
    """What ``seed`` leaves to chance is the same again with the same seed: contents, and which bit is flipped."""

    rig: str
    fault: str
    phase: str
    seed: int

    @property
    def id(self) -> str:
        """As ``--only`` has it."""
        return f"{self.rig}/{self.fault}@{self.phase}"

    @property
    def command(self) -> str:
        """Repeats it alone."""
        return f"pageferry faults --seed {self.seed} --only '{self.id}'"


class Rig(abc.ABC):
    """Opened once, for all of its cells, in a folder of its own. ``faults`` and ``phases``: each by its name, with its meaning."""

    title: ClassVar[str]
    quick_cells: ClassVar[int] = 120
    """The size of a sample that takes a few minutes."""

    @classmethod
    @abc.abstractmethod
    def faults(cls) -> Mapping[str, str]:
        """What can happen."""

    @classmethod
    @abc.abstractmethod
    def phases(cls) -> Mapping[str, str]:
        """And when."""

    @classmethod
    def pairs(cls) -> Iterator[tuple[str, str]]:
        """Every fault at every phase at which it means anything; by default at all."""
        yield from ((fault, phase) for phase in cls.phases() for fault in cls.faults())

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it; None: nothing."""
        return None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abc.abstractmethod
    def run(self, cell: Cell) -> FaultCell:
        """Do it, judge, and leave nothing over. :raises PageferryError: it could not be tried at all."""
