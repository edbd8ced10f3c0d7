"""What is known of each candidate of ``auto``: costs, output size, and what all around codecs takes. Pure: numbers in and out.

A candidate's rate without a limit of the link is 1 / (1 / (C * threads) + 1 / (D * threads) + overhead). C and D are in raw
bytes a second of CPU time, which other work on the host does not change; what it and the rest of the way take is the overhead, and
that is learnt from what was delivered. Where codecs, sockets and guests share cores the parts add up; where they do not, the
overhead comes out smaller.

Memory is not alike from batch to batch, so that sizes of different batches do not compare. A candidate is described by *odds*,
size / (1 - size) with the size as a share of the input, relative to a reference candidate's on the same data: what does not
compress has the size 1 with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.migrator.choose.auto import Candidate

__all__ = ["Estimates", "Known"]

_COST_PRIOR_BYTES, _COST_BYTES = 4 << 20, 32 << 20
_SIZE_PRIOR_BYTES, _SIZE_BYTES = 1 << 20, 24 << 20
_ODDS_PRIOR_BYTES, _ODDS_BYTES = 1 << 20, 16 << 20
_HISTORY_PRIOR_BYTES, _HISTORY_BYTES = 8 << 20, 96 << 20
"""What a prior weighs in a mean, and what all that came before weighs at most beside the newest batch. What a history saves comes
in lumps, so that it is averaged for longer."""

_SMALLEST_SIZE, _LARGEST_SIZE = 0.002, 0.995

_OVERHEAD_S_PER_BYTE = 1e-9
"""Before any was seen. Over the whole pair 0.96 to 1.28 ns with lz4, ISA-L and zstd 1 to 6 at 2.5 Gbit/s, 0.86 with none
(2-core Intel Xeon, 2026-11-25, n=2 each)."""

_OVERHEAD_WEIGHT = 0.3
_DRIFT, _FORGETTING = 0.02, 0.005
"""Of what is seen with one candidate, in what was once seen with the others: the host's other work may have ended meanwhile. While
the link is the limit it cannot be seen: what made others slow is forgotten in some ten seconds."""


@dataclass(slots=True)
class _Mean:
    """A mean by bytes, in which the past weighs no more than ``most_bytes``."""

    value: float
    weight_bytes: float
    most_bytes: float

    def add(self, value: float, weight_bytes: float) -> None:
        self.weight_bytes = min(self.weight_bytes, self.most_bytes) + weight_bytes
        self.value += (value - self.value) * weight_bytes / self.weight_bytes


@dataclass(slots=True)
class Known:
    """Of one candidate. Costs are seconds per raw byte of one thread; ``size`` and ``reference_size`` are of the same batches."""

    compress: _Mean
    restore: _Mean
    size: _Mean
    reference_size: _Mean
    compressed: bool = False
    restored: bool = False
    raw_bytes: int = 0
    compared_s: float = -math.inf
    overhead: float | None = None

    @property
    def odds(self) -> float:
        """Relative to the reference's."""
        return _odds(self.size.value) / _odds(self.reference_size.value)


@dataclass(slots=True)
class Estimates:
    """``lanes`` batches are compressed at once, and ``peer_lanes`` restored. The first candidate is "none"."""

    candidates: Sequence[Candidate]
    lanes: int
    peer_lanes: int
    reference: int = field(init=False)
    known: list[Known] = field(init=False)
    _size: _Mean = field(init=False)

    def __post_init__(self) -> None:
        """Priors alone."""
        self.reference = next((n for n, c in enumerate(self.candidates) if not c.history and c.ratio > 1), 0)
        size = 1 / self.candidates[self.reference].ratio
        self._size = _Mean(size, _SIZE_PRIOR_BYTES, _SIZE_BYTES)
        self.known = [_known(candidate, size) for candidate in self.candidates]

    # ------------------------------------------------------------------ what was seen

    def compressed(self, choice: int, raw_bytes: int, took_s: float) -> None:
        """``took_s`` of CPU time."""
        known = self.known[choice]
        known.compress.add(took_s / raw_bytes, raw_bytes)
        known.compressed = True

    def restored(self, choice: int, raw_bytes: int, took_s: float) -> None:
        """Likewise at the destination."""
        known = self.known[choice]
        known.restore.add(took_s / raw_bytes, raw_bytes)
        known.restored = True

    def packed(self, choice: int, raw_bytes: int, packed_bytes: int) -> None:
        """What ``choice``, no history, made of memory that is passing: so much would the reference have made of it."""
        self._size.add(_share(_odds(packed_bytes / raw_bytes) / self.known[choice].odds), raw_bytes)

    def compared(self, choice: int, packed_bytes: int, other: int, other_bytes: int, raw_bytes: int) -> None:
        """Two candidates had the same batch: what is known of ``choice`` follows."""
        known = self.known[choice]
        known.size.add(packed_bytes / raw_bytes, raw_bytes)
        known.reference_size.add(_share(_odds(other_bytes / raw_bytes) / self.known[other].odds), raw_bytes)

    def delivered(self, choice: int, bytes_per_s: float, *, link_was_free: bool) -> None:
        """So much arrived for a while. Where the link was the limit, the rest could do at least that."""
        known, before = self.known[choice], self._overhead(choice)
        seen = max(0.0, 1 / bytes_per_s - self._work_s_per_byte(choice))
        if not link_was_free:
            if seen < before:
                self._drift(seen)
                known.overhead = min(self._overhead(choice), seen)
            for other in self.known:
                if other is not known and other.overhead is not None and other.overhead > _OVERHEAD_S_PER_BYTE:
                    other.overhead += _FORGETTING * (_OVERHEAD_S_PER_BYTE - other.overhead)
            return
        self._drift(seen)
        known.overhead = before + _OVERHEAD_WEIGHT * (seen - before)

    def _drift(self, seen: float) -> None:
        """What one candidate shows of the rest of the way holds in part for the others: more where it is short than where it is
        long, for something in the way hides it, and nothing makes it seem shorter than it is."""
        for known in self.known:
            if known.overhead is not None:
                weight = _OVERHEAD_WEIGHT if seen < known.overhead else _DRIFT
                known.overhead += weight * (seen - known.overhead)

    # ------------------------------------------------------------------ what follows

    def could_work_bytes_per_s(self, choice: int) -> float:
        """Raw bytes a second through source and destination, if the link is no limit. One history is restored by one thread."""
        together = 1 / (self._work_s_per_byte(choice) + self._overhead(choice))
        return min(together, self.restore_bytes_per_s(choice)) if self.candidates[choice].history else together

    def compress_bytes_per_s(self, choice: int) -> float:
        """C, of one thread. A prior is scaled as what was measured of others turned out against its own; not a history's, as
        the first batches of the others are made with cold caches."""
        known = self.known[choice]
        as_known = known.compressed or choice == 0 or self.candidates[choice].history
        scale = 1.0 if as_known else self._scale_compress()
        return 1 / max(1e-15, known.compress.value * scale)

    def restore_bytes_per_s(self, choice: int) -> float:
        """D, likewise."""
        known = self.known[choice]
        as_known = known.restored or choice == 0 or self.candidates[choice].history
        scale = 1.0 if as_known else self._scale_restore()
        return 1 / max(1e-15, known.restore.value * scale)

    def ratio(self, choice: int) -> float:
        """r, of the memory that is passing now."""
        if choice == 0:
            return 1.0
        return 1 / _share(_odds(self._size.value) * self.known[choice].odds)

    def _work_s_per_byte(self, choice: int) -> float:
        compress_s, restore_s = 1 / self.compress_bytes_per_s(choice), 1 / self.restore_bytes_per_s(choice)
        return compress_s / self.lanes + restore_s / self.peer_lanes

    def _overhead(self, choice: int) -> float:
        """Of one that was never at its limit, as of the others."""
        own = self.known[choice].overhead
        if own is not None:
            return own
        seen = [known.overhead for known in self.known if known.overhead is not None]
        return sum(seen) / len(seen) if seen else _OVERHEAD_S_PER_BYTE

    def _scale_compress(self) -> float:
        pairs = zip(self.known[1:], self.candidates[1:], strict=True)
        return _middle([k.compress.value * c.compress_bytes_per_s for k, c in pairs if k.compressed])

    def _scale_restore(self) -> float:
        pairs = zip(self.known[1:], self.candidates[1:], strict=True)
        return _middle([k.restore.value * c.decompress_bytes_per_s for k, c in pairs if k.restored])


def _known(candidate: Candidate, reference_size: float) -> Known:
    prior_bytes, most_bytes = (
        (_HISTORY_PRIOR_BYTES, _HISTORY_BYTES) if candidate.history else (_ODDS_PRIOR_BYTES, _ODDS_BYTES)
    )
    return Known(
        _Mean(1 / candidate.compress_bytes_per_s, _COST_PRIOR_BYTES, _COST_BYTES),
        _Mean(1 / candidate.decompress_bytes_per_s, _COST_PRIOR_BYTES, _COST_BYTES),
        _Mean(1 / candidate.ratio, prior_bytes, most_bytes),
        _Mean(reference_size, prior_bytes, most_bytes),
    )


def _odds(size: float) -> float:
    size = min(_LARGEST_SIZE, max(_SMALLEST_SIZE, size))
    return size / (1 - size)


def _share(odds: float) -> float:
    return odds / (1 + odds)


def _middle(shares: Sequence[float]) -> float:
    """Their geometric mean; 1 of none."""
    return math.exp(sum(map(math.log, shares)) / len(shares)) if shares else 1.0
