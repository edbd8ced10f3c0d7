"""What must hold after a fault, whatever the sides say. Numbers and facts in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.faults.contract import Cell
from harness.results.faults import FaultCell, Where

SEEN_S = 11.0
"""In which both halves must end where the cause can be seen: 10 s for a message that does not become whole, and a second for the
rest."""
REFUSED_S = 2.0
"""In which who has no right certificate is refused."""
SILENT_S = 35.0
"""And where the link is silent."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``verdict_s``: None: not all sides had ended when it was given up. ``bugs``: a side's error that no user should see."""

    runs: Where
    memory: bool | None
    verdict_s: float | None
    limit_s: float
    bugs: tuple[str, ...]
    left: tuple[str, ...]
    again: bool


def where(*, source: bool, destination: bool, held: bool = False) -> Where:
    """The guest runs there. ``held``: it stands still at the source, and a line says so."""
    if held and not source and not destination:
        return "held"
    if source and destination:
        return "both"
    return "source" if source else "destination" if destination else "neither"


def wrongs(facts: Facts) -> Iterator[str]:
    """Everything that is not as it must be; the worst first."""
    if facts.runs == "neither":
        yield "the guest runs nowhere"
    if facts.runs == "both":
        yield "the guest runs on both sides"
    if facts.memory is False:
        yield "the memory of the guest is wrong"
    if facts.verdict_s is None:
        yield "a side had not ended when it was given up"
    elif facts.verdict_s > facts.limit_s:
        yield f"the last side ended after {facts.verdict_s:.1f} s, which is more than {facts.limit_s:g} s"
    yield from facts.bugs
    yield from (f"left over: {what}" for what in facts.left)
    if not facts.again:
        yield "a second migration does not succeed"


def cell_of(cell: Cell, facts: Facts, *, applied: bool, sender: str, receiver: str) -> FaultCell:
    """As the matrix keeps it."""
    return FaultCell(
        cell.id,
        cell.rig,
        cell.fault,
        cell.phase,
        cell.seed,
        cell.command,
        applied=applied,
        runs=facts.runs,
        memory=facts.memory,
        sender=sender,
        receiver=receiver,
        verdict_s=facts.verdict_s,
        left=facts.left,
        again=facts.again,
        wrong=tuple(wrongs(facts)),
    )
