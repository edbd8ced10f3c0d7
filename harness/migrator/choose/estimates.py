"""What is known of each candidate of ``auto``: costs, output size, and what all around codecs takes. Pure: numbers in and out.

A candidate's rate without a limit of the link is

    1 / (slowness * (C / threads + D / threads + around))

C and D are seconds of CPU time a raw byte, which other work on the host does not change. They add up where source and destination
share cores; where each has its own, the longer one counts, with its half of what is around. The slowness is one number for all
candidates, of what was delivered while the link was no limit: a host that has other work is slow with all of them. What a
candidate has of its own is learnt more slowly.

While the link is the limit the slowness cannot be seen, but to be no more than what was delivered allows. Then it is forgotten: a
host that was busy need not be so any more, and the only way to know is to try. Each hope that was in vain doubles the time until
the next.

Memory is not alike from batch to batch, so that sizes of different batches do not compare. A candidate is described by *odds*,
size / (1 - size) with the size as a share of the input, relative to a reference candidate's on the same data: what does not
compress has the size 1 with all of them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.migrator.choose.auto import Candidate

_COST_PRIOR_BYTES, _COST_BYTES = 4 << 20, 32 << 20
_SIZE_PRIOR_BYTES, _SIZE_BYTES = 1 << 20, 24 << 20
_ODDS_PRIOR_BYTES, _ODDS_BYTES = 1 << 20, 16 << 20
_HISTORY_PRIOR_BYTES, _HISTORY_BYTES = 8 << 20, 96 << 20
"""What a prior weighs in a mean, and what all that came before weighs at most beside the newest batch. What a history saves comes
in lumps, so that it is averaged for longer."""

_SMALLEST_SIZE, _LARGEST_SIZE = 0.002, 0.995

_AROUND_S = 2e-9
"""CPU seconds a byte that the pair and what it stands between take around codecs, half at each end, on a core as fast as those of
which the priors are: 1.9 to 2.0 ns with lz4, ISA-L and zstd 1 and 3, 1.5 with none (benchmarks/pair.py, 2-core Intel Xeon,
2026-11-26, n=7)."""

_SEEN_WEIGHT, _OWN_WEIGHT, _OWN_FADES = 0.5, 0.05, 0.02
"""Of the newest stretch: in the slowness of all, and in what a candidate has of its own, which fades meanwhile with the others."""

_THREADS_BESIDE = 2
"""So many of the pair's threads want a core at once beside those that compress (it reads, sends, restores and delivers). In the
tests' model, beside 1, 2, 4 and 8 busy loops on two cores, the worst of 15 migrations took 7, 11, 17 and 0 % longer than the best
fixed choice; with 1 it was 7, 17, 17 and 7 %, and without knowing of the loops 8, 24, 42 and 82 % (2026-11-28)."""

_LATEST = 3
"""Of so many stretches the middle one counts: a machine that stood still for a moment is not slow."""

_HOPE_S, _MOST_HOPE_S = 0.5, 8.0
_FEAR_S, _BUSY = 2.0, 1.5
_IN_VAIN = 1.3
"""While the slowness cannot be seen, the logarithm of it falls by a factor e in so many seconds, which double when it comes
back so many times as high as was hoped. For what is dear to try it falls in ``_FEAR_S``: the host is busy while it
would be so many times as slow."""


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
    """Of one candidate. Costs are seconds per raw byte of one thread; ``size`` and ``reference_size`` are of the same batches.
    ``own``: the logarithm of its slowness above that of all."""

    compress: _Mean
    restore: _Mean
    size: _Mean
    reference_size: _Mean
    compressed: bool = False
    restored: bool = False
    raw_bytes: int = 0
    compared_s: float = -math.inf
    own: float = 0.0
    prior_odds: float = field(init=False)

    def __post_init__(self) -> None:
        """What is known beforehand."""
        self.prior_odds = self.odds

    @property
    def odds(self) -> float:
        """Relative to the reference's."""
        return _odds(self.size.value) / _odds(self.reference_size.value)


@dataclass(slots=True)
class Estimates:
    """``lanes`` batches are compressed at once, and ``peer_lanes`` restored. The first candidate is "none". ``speed``: of a core,
    beside those of which the candidates' rates are; ``peer_speed``: of the destination's. ``apart``: it has cores of its own.

    ``_slowness`` is a logarithm; ``_hoped``: what it is hoped to be since it was last seen, if it is not seen now; ``_feared``:
    what it may well be yet."""

    candidates: Sequence[Candidate]
    lanes: int
    peer_lanes: int
    speed: float = 1.0
    peer_speed: float = 1.0
    apart: bool = False
    reference: int = field(init=False)
    known: list[Known] = field(init=False)
    _size: _Mean = field(init=False)
    _slowness: float = 0.0
    _hoped: float | None = None
    _feared: float = 0.0
    _hope_s: float = _HOPE_S
    _latest: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def __post_init__(self) -> None:
        """Priors alone."""
        self.candidates = [
            replace(
                each,
                compress_bytes_per_s=each.compress_bytes_per_s * self.speed,
                decompress_bytes_per_s=each.decompress_bytes_per_s * self.peer_speed,
            )
            for each in self.candidates
        ]
        self.reference = next((n for n, c in enumerate(self.candidates) if not c.history and c.ratio > 1), 0)
        size = 1 / self.candidates[self.reference].ratio
        self._size = _Mean(size, _SIZE_PRIOR_BYTES, _SIZE_BYTES)
        self.known = [_known(candidate, size) for candidate in self.candidates]

    # ------------------------------------------------------------------ what was seen

    def beside(self, others: int, cores: int) -> None:
        """So many threads of others want one of ``cores``, before anything was delivered that would show it: each thread has the
        same share."""
        own = self.lanes + (_THREADS_BESIDE // 2 if self.apart else _THREADS_BESIDE)
        self._slowness = self._feared = math.log(max(1.0, (own + others) / max(own, cores)))

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

    def delivered(self, choice: int, bytes_per_s: float, took_s: float, *, link_was_free: bool) -> None:
        """So much arrived in ``took_s``. Where the link was the limit, the rest could do at least that."""
        seen = math.log(1 / bytes_per_s / self._alone_s_per_byte(choice))
        if link_was_free:
            self._latest.append((choice, seen))
            latest = sorted(each for of, each in self._latest if of == choice)
            self._saw(choice, latest[(len(latest) - 1) // 2])
        elif seen < self._slowness + self.known[choice].own:
            self._saw(choice, seen)
        else:
            self._hope(took_s)

    def _saw(self, choice: int, seen: float) -> None:
        known = self.known[choice]
        error = seen - self._slowness - known.own
        if self._hoped is not None:
            in_vain = error > math.log(_IN_VAIN)
            self._hope_s = min(_MOST_HOPE_S, 2 * self._hope_s) if in_vain else max(_HOPE_S, self._hope_s / 2)
            self._hoped = None
        self._slowness += _SEEN_WEIGHT * error
        self._feared = self._slowness
        known.own += _OWN_WEIGHT * error
        self._fade(_OWN_FADES, known)

    def _hope(self, took_s: float) -> None:
        if self._slowness > 0:
            self._slowness *= math.exp(-took_s / self._hope_s)
            self._hoped = self._slowness
            self._feared *= math.exp(-took_s / _FEAR_S)
        self._fade(1 - math.exp(-took_s / self._hope_s))

    def _fade(self, share: float, but: Known | None = None) -> None:
        for known in self.known:
            if known is not but:
                known.own -= share * known.own

    # ------------------------------------------------------------------ what follows

    @property
    def busy(self) -> bool:
        """Whether the host has much other work, as far as was seen lately."""
        return self._feared > math.log(_BUSY)

    def could_work_bytes_per_s(self, choice: int) -> float:
        """Raw bytes a second through source and destination, if the link is no limit. One history is restored by one thread."""
        slowness = math.exp(self._slowness + self.known[choice].own)
        together = 1 / (slowness * self._alone_s_per_byte(choice))
        return min(together, self.restore_bytes_per_s(choice)) if self.candidates[choice].history else together

    def compress_bytes_per_s(self, choice: int) -> float:
        """C, of one thread. A prior is scaled as what was measured of others turned out against its own; not a history's, as
        the first batches of the others are made with cold caches."""
        known = self.known[choice]
        scale = 1.0 if known.compressed or choice == 0 else self._scale_compress()
        return 1 / max(1e-15, known.compress.value * scale)

    def restore_bytes_per_s(self, choice: int) -> float:
        """D, likewise."""
        known = self.known[choice]
        scale = 1.0 if known.restored or choice == 0 else self._scale_restore()
        return 1 / max(1e-15, known.restore.value * scale)

    def ratio(self, choice: int) -> float:
        """r, of the memory that is passing now."""
        if choice == 0:
            return 1.0
        odds = self.known[choice].odds
        if self.candidates[choice].history and not self.known[choice].raw_bytes:
            odds *= self._scale_histories()
        return 1 / _share(_odds(self._size.value) * odds)

    def _alone_s_per_byte(self, choice: int) -> float:
        """What it takes where nothing else works."""
        compress_s, restore_s = 1 / self.compress_bytes_per_s(choice), 1 / self.restore_bytes_per_s(choice)
        around_s = _AROUND_S / self.speed * self._scale_compress()
        if not self.apart:
            return (compress_s + around_s) / self.lanes + restore_s / self.peer_lanes
        peer_around_s = _AROUND_S / self.peer_speed * self._scale_restore()
        return max((compress_s + around_s / 2) / self.lanes, (restore_s + peer_around_s / 2) / self.peer_lanes)

    def _scale_histories(self) -> float:
        """What histories that were used turned out to leave, against their priors: another is tried only by going over to it."""
        pairs = zip(self.known, self.candidates, strict=True)
        return _middle([k.odds / k.prior_odds for k, c in pairs if c.history and k.raw_bytes])

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
