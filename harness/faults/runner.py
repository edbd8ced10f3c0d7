"""Cells in, a matrix out: which are run, in which order, and what is kept. Knows no rig but by its name."""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby

from harness.errors import UserError
from harness.faults.contract import Cell, Rig
from harness.hosts.rundir import open_scratch
from harness.kinds import Kinds
from harness.results.faults import FaultMatrix

RIGS = Kinds(
    "rig",
    Rig,
    {
        "frames": "harness.faults.frame_rig:FrameRig",
        "certificates": "harness.faults.certificate_rig:CertificateRig",
        "processes": "harness.faults.live.rig:ProcessRig",
        "links": "harness.faults.live.rig:LinkRig",
        "hosts": "harness.faults.live.rig:HostRig",
    },
)
OnCell = Callable[[FaultMatrix, int], None]
"""Gets all that is known after each cell, which is the last in it, and how many are still to come."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``missing``: rigs that are not to be had here, and why."""

    cells: tuple[Cell, ...]
    titles: Mapping[str, str]
    missing: Mapping[str, str]


def plan_cells(seed: int, only: Sequence[str] = (), *, rounds: int = 1, quick: bool = False) -> Plan:
    """Every cell, or those that a shell pattern of ``only`` names; with ``quick`` a sample of each rig, by the seed.

    :raises UserError: a pattern names none. :raises MissingError: what is asked for by name cannot run here.
    """
    rigs = {name: RIGS.load(name) for name in RIGS.names()}
    every = [Cell(name, *pair, seed) for name, rig in rigs.items() for pair in rig.pairs()]
    for pattern in only:
        if not any(fnmatchcase(cell.id, pattern) for cell in every):
            raise UserError(f"--only {pattern}: names no cell; `pageferry faults --list` has them all")
    wanted = [cell for cell in every if not only or any(fnmatchcase(cell.id, pattern) for pattern in only)]
    missing = {name: lack for name in dict.fromkeys(cell.rig for cell in wanted) if (lack := rigs[name].missing())}
    wanted = [cell for cell in wanted if cell.rig not in missing]
    chosen = _sample(wanted, seed) if quick else wanted
    titles = {
        f"{name}/{key}": title for name, rig in rigs.items() for key, title in {**rig.faults(), **rig.phases()}.items()
    }
    cells = [Cell(cell.rig, cell.fault, cell.phase, seed + turn) for turn in range(rounds) for cell in chosen]
    return Plan(tuple(sorted(cells, key=lambda cell: cell.rig)), titles, missing)


def _sample(cells: Iterable[Cell], seed: int) -> list[Cell]:
    chosen: list[Cell] = []
    for name, of_rig in groupby(cells, key=lambda cell: cell.rig):
        each = list(of_rig)
        picked = random.Random(seed).sample(range(len(each)), min(RIGS.load(name).quick_cells, len(each)))  # noqa: S311 - to be repeated
        chosen += [each[at] for at in sorted(picked)]
    return chosen


def run_cells(plan: Plan, seed: int, on_cell: OnCell, earlier: FaultMatrix | None = None) -> FaultMatrix:
    """Those of ``earlier`` are kept, whether or not ``plan`` has them, and not run again. Raises as ``Rig.run``."""
    began_s = time.monotonic()
    started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    matrix = earlier or FaultMatrix(started_at, 0.0, seed, ())
    before_s, have = matrix.duration_s, {(cell.id, cell.seed) for cell in matrix.cells}
    matrix = replace(matrix, seed=seed, titles=plan.titles, missing=plan.missing)
    todo = [cell for cell in plan.cells if (cell.id, cell.seed) not in have]
    left = len(todo)
    for name, cells in groupby(todo, key=lambda cell: cell.rig):
        with open_scratch() as folder:
            rig = RIGS.load(name)(folder)
            for cell in cells:
                duration_s = before_s + time.monotonic() - began_s
                matrix = replace(matrix, cells=(*matrix.cells, rig.run(cell)), duration_s=duration_s)
                left -= 1
                on_cell(matrix, left)
    return matrix
