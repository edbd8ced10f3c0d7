"""What a simulated guest has in its memory, and what it costs to compress: as a generated one on average, or as a shipped
recording, MiB by MiB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recorded_memory import RATES, Recorded

from harness.migrator.choose.auto import Candidate

MB = 1e6

TABLE = {
    # MB/s of one thread's CPU time, compressing and restoring, and ratio: tests/benchmarks/pair.py, and of zstd 6 and zstd-long
    # what ``choose/auto.py`` knows (2-core Intel Xeon, 2026-11-26, n=7).
    "none": (8000, 8000, 1.0),
    "lz4": (675, 2694, 2.5),
    "isal:1": (612, 720, 2.7),
    "zstd:1": (522, 1680, 3.15),
    "zstd:3": (415, 1680, 3.3),
    "zstd:6": (130, 1550, 3.4),
    "zstd-long:1": (260, 1000, 4.8),
}
COSTS = tuple(TABLE.values())
CANDIDATES = tuple(
    # As the pair knows them beforehand, which is not what they are.
    Candidate(name.partition(":")[0], int(level) if (level := name.partition(":")[2]) else None, c * MB, d * MB, r,
              history=name.startswith("zstd-long"))
    for name, (c, d, r) in (TABLE | {
        "lz4": (640, 2250, 2.5), "isal:1": (575, 650, 2.7), "zstd:1": (490, 1400, 3.15), "zstd:3": (365, 1450, 3.3),
    }).items()
)  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """What a guest has: ``costs`` as ``TABLE``'s, of ``candidates``. ``recorded``: sizes are its, batch by batch."""

    candidates: tuple[Candidate, ...] = CANDIDATES
    costs: tuple[tuple[float, float, float], ...] = COSTS
    names: tuple[str, ...] = tuple(TABLE)
    recorded: Recorded | None = None

    def size(self, choice: int, at: int, count: int, compressible: float) -> float:
        """Of ``count`` bytes from ``at`` on, as a share of them."""
        if self.recorded is not None:
            return self.recorded.size(self.names[choice], at, count)
        return 1 - min(0.99, (1 - 1 / self.costs[choice][2]) * compressible)


GENERATED = Memory()


def recorded(recording: str, candidates: Sequence[Candidate]) -> Memory:
    """A shipped recording's."""
    names = tuple(str(candidate).replace("lz4:0", "lz4") for candidate in candidates)
    return Memory(tuple(candidates), tuple((*RATES[name], 1.0) for name in names), names, Recorded(recording))
