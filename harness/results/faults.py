"""What became of a guest at each fault: plain data with units, and its JSON. Schema 1: fields are added, never renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scipy import stats

from harness.results.document import Document

__all__ = ["SCHEMA", "FaultCell", "FaultMatrix", "Where", "dump_faults", "load_faults", "most_share", "save_faults"]

SCHEMA = 1
_SURE = 0.95
Where = Literal["source", "destination", "both", "neither", "held", "died"]


@dataclass(frozen=True, slots=True)
class FaultCell:
    """One fault at one phase, and what the judge saw afterwards.

    ``applied``: the fault took place; else the cell counts for nothing. ``runs``: where the guest runs; held: it stands still at
    the source, and the sender says so, and where to look; died: the fault killed the QEMU in which alone it ran.
    ``memory``: whether its memory is right there; None: it runs nowhere.
    ``sender`` and ``receiver``: the line with which each ended, or how it ended.
    ``verdict_s``: from the fault to the end of both; None: one had not ended when it was given up. ``left``: what was left over.
    ``again``: whether a second migration of the same guest succeeded. ``wrong``: everything that is not as it must be, in
    sentences. ``command`` repeats the cell alone.
    """

    id: str
    rig: str
    fault: str
    phase: str
    seed: int
    command: str
    applied: bool
    runs: Where
    memory: bool | None
    sender: str
    receiver: str
    verdict_s: float | None
    left: tuple[str, ...] = ()
    again: bool = False
    wrong: tuple[str, ...] = ()

    @property
    def lost(self) -> bool:
        """A guest or its memory was lost, or there are two of it."""
        return self.applied and (self.runs in ("both", "neither") or self.memory is False)

    @property
    def ok(self) -> bool:
        """All is as it must be."""
        return not self.wrong


@dataclass(frozen=True, slots=True)
class FaultMatrix:
    """All cells of one run. ``titles``: what each fault and phase means. ``missing``: rigs that this machine has not, and why."""

    started_at: str
    duration_s: float
    seed: int
    cells: tuple[FaultCell, ...]
    titles: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def applied(self) -> tuple[FaultCell, ...]:
        """Those that count."""
        return tuple(cell for cell in self.cells if cell.applied)

    @property
    def lost(self) -> int:
        """In how many of them a guest or its memory was lost."""
        return sum(cell.lost for cell in self.cells)


def most_share(lost: int, of: int) -> float:
    """The share of such faults that loses something is below this with 95 % confidence: Clopper and Pearson's exact bound, on one
    side (doi:10.1093/biomet/26.4.404). 0 of 300 is below 1 %. Of no faults nothing is known: 1."""
    return 1.0 if lost >= of else float(stats.beta.ppf(_SURE, lost + 1, of - lost))


_DOCUMENT = Document(FaultMatrix, "faults", SCHEMA)
dump_faults, save_faults = _DOCUMENT.dump, _DOCUMENT.save


def load_faults(path: Path) -> FaultMatrix:
    """:raises ResultError: there is none, or what is there is none."""
    return _DOCUMENT.read(path)
