"""Whether all RAM of a guest arrived of which we know nothing: each RAM block of both QEMUs, compared while neither guest runs.

The source stands still since its migration completed, the destination until it is told to go on. So every byte must be equal: there
is no working set to leave out, and nothing is asked of the guest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.errors import QemuError
from harness.guests.compare import Finding, Piece, Verdict, compare
from harness.qemu.process import QemuProcess
from harness.qemu.ramblocks import RamBlock, RamView, ram_blocks

_CHUNK_BYTES = 16 << 20
Blocks = Mapping[str, RamBlock]


def compare_held(source: QemuProcess, destination: QemuProcess, ram: Collection[str]) -> Sequence[Verdict]:
    """A finding for each block, and one for those that this QEMU does not show, among which none of ``ram`` may be.

    :raises QemuError: memory cannot be read, or QEMU does not say where ``ram`` is.
    """
    ours, theirs = ({block.name: block for block in ram_blocks(side.qmp)} for side in (source, destination))
    if _sizes(ours) != _sizes(theirs):
        said = f"RAM blocks in bytes: source {_sizes(ours)}, destination {_sizes(theirs)}"
        return [Finding(ok=False, line=said)]
    known = [name for name in ours if ours[name].address is not None and theirs[name].address is not None]
    if lost := sorted(set(ram) - set(known)):
        raise QemuError(f"{source.name}: QEMU does not say where {', '.join(lost)} is; write verify = false")
    hidden = [name for name in ours if name not in known]
    found: list[Verdict] = []
    for name in known:
        sides = RamView(source, ours[name]), RamView(destination, theirs[name])
        found.append(compare([Piece(0, ours[name].bytes)], sides, _CHUNK_BYTES).told(f"of {name}"))
    return [*found, *([_unseen(hidden)] if hidden else [])]


def _sizes(blocks: Blocks) -> dict[str, int]:
    return {name: block.bytes for name, block in blocks.items()}


def _unseen(names: Sequence[str]) -> Finding:
    """They hold what QEMU loads from its own files: the guest cannot write to what it does not see."""
    return Finding(
        ok=True, line=f"not compared, as the guest does not see them and QEMU not say where: {', '.join(names)}"
    )
