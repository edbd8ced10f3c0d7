"""A fault matrix as texts: the verdict, a table of fault by phase for each rig, and every cell that is not as it must be. Knows no
HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.results.faults import FaultCell, FaultMatrix, Where, most_share
from reports.facts import minute_text
from reports.numbers import DASH, amount, plural
from reports.table import Table


@dataclass(frozen=True, slots=True)
class FaultsView:
    """All that the page says. ``failures``: cells that are not as they must be."""

    facts: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    failures: tuple[FaultCell, ...]
    every: Table


def word(cell: FaultCell) -> str:
    """What became of it, for a table's cell."""
    if not cell.applied:
        return DASH
    return "LOST" if cell.lost else "kept" if cell.ok else "kept, but"


def bound_text(matrix: FaultMatrix, cells: Sequence[FaultCell] | None = None) -> str:
    """``0 of 300 lost a guest or its memory, or made two of it: below 1.00 % with 95 % confidence``."""
    counted = matrix.applied if cells is None else cells
    lost = sum(cell.lost for cell in counted)
    share = f"{most_share(lost, len(counted)) * 100:.2f}\u00a0%"
    said = f"{lost} of {len(counted)} faults lost a guest or its memory, or made two of it"
    return f"{said}: with 95\u00a0% confidence such a fault does in less than {share}"


def sentences(matrix: FaultMatrix) -> tuple[str, ...]:
    """The verdict: how many, what the bound is, how soon both sides ended, and what else was not as it must be."""
    counted = matrix.applied
    if not counted:
        return ("No fault took place: nothing was found out.",)
    runs = Counter(cell.runs for cell in counted)
    places = "; ".join(f"{_AT[name]} after {count}" for name in _AT if (count := runs[name]))
    other = [cell for cell in counted if not cell.ok and not cell.lost]
    said = [
        f"{bound_text(matrix)}.",
        f"Afterwards the guest ran {places}.",
        _ended(counted),
    ]
    if other:
        said.append(
            f"{plural(len(other), 'cell')} kept the guest, but something else was not as it must be: see below."
        )
    return tuple(said)


def _ended(cells: Sequence[FaultCell]) -> str:
    """How soon both sides had, and where one never did."""
    ended = [(cell.verdict_s, cell.id) for cell in cells if cell.verdict_s is not None]
    never = [cell.id for cell in cells if cell.verdict_s is None]
    given_up = (
        f"a side had not ended when it was given up ({never[0]}{' and others' * (len(never) > 1)})" if never else ""
    )
    if not ended:
        return f"In {plural(len(never), 'cell')} {given_up}."
    slowest_s, name = max(ended)
    known = f"Both sides had ended {amount(slowest_s, 1)}\u00a0s after the fault at the latest ({name})"
    return f"{known}; in {plural(len(never), 'other cell')} {given_up}." if never else f"{known}."


_AT: Mapping[Where, str] = {
    "source": "on at the source",
    "destination": "at the destination",
    "both": "on BOTH sides",
    "neither": "NOWHERE",
    "held": "stands still at the source",
    "died": "died with the QEMU that was killed, the only one that had all of it,",
}


def faults_view(matrix: FaultMatrix) -> FaultsView:
    """The matrix as texts."""
    facts = (
        ("Faults", str(len(matrix.applied))),
        ("Seed", str(matrix.seed)),
        ("Measured on", str(matrix.environment.get("cpu_model") or "a machine that was not recorded")),
        ("When", minute_text(matrix.started_at)),
    )
    rigs = dict.fromkeys(cell.rig for cell in matrix.cells)
    return FaultsView(
        facts,
        sentences(matrix),
        tuple(f"{rig}: not run: {why}" for rig, why in matrix.missing.items()),
        tuple(_grid(matrix, rig) for rig in rigs),
        tuple(cell for cell in matrix.applied if not cell.ok),
        _every(matrix),
    )


def _grid(matrix: FaultMatrix, rig: str) -> Table:
    cells = [cell for cell in matrix.cells if cell.rig == rig]
    phases, faults = (list(dict.fromkeys(getattr(cell, key) for cell in cells)) for key in ("phase", "fault"))
    rows = [(fault, *(_in_place(cells, fault, phase) for phase in phases)) for fault in faults]
    marks = tuple("failed" if any("LOST" in text for text in row) else "" for row in rows)
    return Table(
        f"{rig}: fault by phase", ("Fault", *phases), tuple(rows), words=tuple(range(len(phases) + 1)), marks=marks
    )


def _in_place(cells: Sequence[FaultCell], fault: str, phase: str) -> str:
    """Of several rounds the worst, with their number."""
    here = [cell for cell in cells if (cell.fault, cell.phase) == (fault, phase)]
    words = {word(cell) for cell in here}
    worst = next((each for each in ("LOST", "kept, but", "kept") if each in words), DASH)
    applied = sum(cell.applied for cell in here)
    return worst if applied < 2 else f"{worst} ({applied})"


def _every(matrix: FaultMatrix) -> Table:
    heads = ("Cell", "Outcome", "Guest runs at", "Verdict (s)", "Sender", "Receiver", "Repeat it")
    rows = tuple(
        (cell.id, word(cell), cell.runs, amount(cell.verdict_s, 2), cell.sender, cell.receiver, cell.command)
        for cell in matrix.cells
    )
    return Table("Every cell, with the line of each side", heads, rows, words=(0, 1, 2, 4, 5, 6), folded=True)
