"""Decides which codec the next batch goes through. Pure: measurements come in as numbers, no clocks, no I/O, no threads.

The delivered rate of a choice is the least of what the source can compress, C on each of its threads, what the destination
can restore, D likewise, and what the link can carry, r*B. C and D are learnt from each batch, B by ``LinkRate``. Memory is not
alike from batch to batch, so that ratios of different batches do not compare: candidates are told apart by *trials*, in which
one more of them compresses a batch that was sent anyway, for at most ``_TRIAL_SHARE`` of the time.

Two shipped policies failed by compressing harder when the link stalled for a moment, and by never coming back (facebook/zstd#2200,
xapi-project/xen-api#4797): here B is what was carried, not how long a queue is, a choice is left for a better
one only, and what was learnt of the others is tried again when it is old.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.auto import Candidate
from harness.migrator.link_rate import LinkRate

__all__ = ["Decision", "MethodPolicy"]

_WEIGHT = 0.2
"""Of the newest batch in what is known: five batches make most of an estimate."""

_GAIN = 1.06
"""A change must promise so much: less is within what estimates err by."""

_DWELL_S = 1.0
_FIRST_DWELL_S = 0.025
"""The first choices are guesses, so that they may be left soon: each change doubles the time until the next, up to ``_DWELL_S``."""

_TRIAL_SHARE = 0.02
_FIRST_TRIALS_S = 0.012
_STALE_S = 2.0
_STALE_BESIDE_HISTORY_S = 0.02
"""What keeps history saves other shares at each moment: only beside it is known what the memory is like."""

_HISTORY_BYTES = 64 << 20
"""Before it has seen so much, a history shows nothing of what it will save."""

_HOPE = 1.3
"""Only what might be the best by so much more than is known of it is worth a trial."""

_OBSERVED_S = 0.06
_IDLE_SHARE = 0.2
_LEAST_SHARE = 0.3
_MEMORY, _HISTORY_MEMORY = 0.9, 0.99
_PRIOR_BYTES, _HISTORY_PRIOR_BYTES = 1 << 19, 8 << 20
"""Of an older trial, for each newer one; and what the prior weighs. What a history saves comes in lumps."""


@dataclass(slots=True)
class _Known:
    """Of one candidate. Rates are raw bytes a second of one thread.

    ``size`` is its output over the reference candidate's of the same data, from ``own`` and ``other``: sums over trials, the older
    the less. ``share``: of what source and destination could do by these rates, as delivered where the link was not the limit:
    what codecs, sockets and guests take from each other is in none of them.
    """

    compress: float
    decompress: float
    size: float
    own: float = 0.0
    other: float = 0.0
    compressed: int = 0
    restored: int = 0
    raw_bytes: int = 0
    compared_s: float = -math.inf
    share: float | None = None

    def compare(self, own_bytes: int, other_bytes: int, other_size: float, *, history: bool) -> None:
        """Of one batch: what it became, and what it became by another candidate of a known size. The prior weighs like a few."""
        if not self.other:
            prior_bytes = _HISTORY_PRIOR_BYTES if history else _PRIOR_BYTES
            self.own, self.other = prior_bytes * self.size, prior_bytes * other_size
        memory = _HISTORY_MEMORY if history else _MEMORY
        self.own, self.other = self.own * memory + own_bytes, self.other * memory + other_bytes
        self.size = other_size * self.own / self.other


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of choice and what it was made of. Rates in bytes/s; ``link_bytes_per_s`` None: the link was never the limit."""

    t_s: float
    choice: str
    link_bytes_per_s: float | None
    predicted_bytes_per_s: float
    compress_bytes_per_s: float
    decompress_bytes_per_s: float
    ratio: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The beginning of a stretch with one choice."""

    choice: int
    now_s: float
    total_bytes: int
    source_waits_s: float


class MethodPolicy:
    """Keeps what is known of each candidate, and the choice. Not thread-safe: its user holds a lock.

    ``lanes`` batches are compressed at once, and ``peer_lanes`` restored. The first candidate is "none".
    """

    def __init__(self, candidates: Sequence[Candidate], lanes: int, peer_lanes: int) -> None:
        self._candidates = tuple(candidates)
        self._lanes, self._peer_lanes = max(1, lanes), max(1, peer_lanes)
        self._reference = next((n for n, c in enumerate(candidates) if c.parallel and c.ratio > 1), 0)
        ratio = candidates[self._reference].ratio
        self._packed_share = 1 / ratio
        """Of the reference candidate's output in its input, of the memory that is passing now."""
        self._known = [_Known(c.compress_bytes_per_s, c.decompress_bytes_per_s, ratio / c.ratio) for c in candidates]
        self.link = LinkRate()
        self.choice = 0  # costs nothing, and fills the link at once, which is how it becomes known
        self.decisions: list[Decision] = []
        self._began_s = self._changed_s = 0.0
        self._trials_s = 0.0
        self._stretch: _Stretch | None = None

    # ------------------------------------------------------------------ what was seen

    def compressed(self, choice: int, raw_bytes: int, packed_bytes: int, took_s: float) -> None:
        """One batch, compressed by one thread and sent."""
        self._compress_rate(choice, raw_bytes, took_s)
        known = self._known[choice]
        known.raw_bytes += raw_bytes
        if choice and self._candidates[choice].parallel:
            self._saw(packed_bytes / raw_bytes / known.size)

    def tried(
        self,
        now_s: float,
        choice: int,
        packed_bytes: int,
        took_s: float,
        *,
        beside: int,
        sent_bytes: int,
        raw_bytes: int,
    ) -> None:
        """A trial of ``choice`` beside the batch that ``beside`` compressed to ``sent_bytes``."""
        self._compress_rate(choice, raw_bytes, took_s)
        self._trials_s += took_s / self._lanes
        known, other = self._known[choice], self._known[beside]
        known.compared_s = now_s
        history = not self._candidates[beside].parallel
        if beside == 0 or history:
            self._saw(packed_bytes / raw_bytes / known.size)
        if history and other.raw_bytes >= _HISTORY_BYTES:
            other.compare(sent_bytes, packed_bytes, known.size, history=True)
        elif beside and not history:
            known.compare(packed_bytes, sent_bytes, other.size, history=False)

    def _saw(self, packed_share: float) -> None:
        self._packed_share = _blend(self._packed_share, min(1.0, packed_share))

    def restored(self, choice: int, raw_bytes: int, took_s: float) -> None:
        """A batch, restored by one thread at the destination."""
        known, rate = self._known[choice], raw_bytes / max(1e-6, took_s)
        known.decompress = rate if known.restored == 0 else _blend(known.decompress, rate)
        known.restored += 1

    def delivered(self, now_s: float, choice: int, total_bytes: int, source_waits_s: float) -> None:
        """A batch of ``choice`` arrived, ``total_bytes`` in all; the source let us wait for ``source_waits_s`` in all."""
        since = self._stretch
        if since is not None and since.choice == choice and now_s - since.now_s < _OBSERVED_S:
            return
        self._stretch = _Stretch(choice, now_s, total_bytes, source_waits_s)
        if since is None or since.choice != choice:
            return  # what was under way of the last choice has just drained
        took_s = now_s - since.now_s
        if source_waits_s - since.source_waits_s > _IDLE_SHARE * took_s:
            return
        known, rate = self._known[choice], (total_bytes - since.total_bytes) / took_s
        at_work, by_link = self._limits(choice)
        if by_link < at_work * self._share(choice):
            return
        share = max(_LEAST_SHARE, min(1.0, rate / at_work))
        known.share = share if known.share is None else _blend(known.share, share)

    # ------------------------------------------------------------------ what follows

    def choose(self, now_s: float) -> tuple[int, int | None]:
        """The candidate for the next batch, and one that is tried beside it."""
        if not self.decisions:
            self._began_s = self._changed_s = now_s
            self._note(now_s)
        elif now_s - self._changed_s >= self._dwell_s():
            self._reconsider(now_s)
        return self.choice, self._trial(now_s)

    def predicted_bytes_per_s(self, choice: int) -> float:
        """Raw bytes a second that the choice delivers, as far as is known."""
        at_work, by_link = self._limits(choice)
        return min(at_work * self._share(choice), by_link)

    def _limits(self, choice: int) -> tuple[float, float]:
        """What source and destination could do, and what the link could carry, in raw bytes a second."""
        compress, decompress, ratio = self._estimate(choice)
        parallel = self._candidates[choice].parallel
        lanes, peer_lanes = (self._lanes, self._peer_lanes) if parallel else (1, 1)
        return min(compress * lanes, decompress * peer_lanes), self.link.could_carry_bytes_per_s * ratio

    def _share(self, choice: int) -> float:
        """Of a codec that was never at its limit, as of the others."""
        share = self._known[choice].share
        if share is not None or choice == 0:
            return 1.0 if share is None else share
        shares = [known.share for known in self._known[1:] if known.share is not None]
        return sum(shares) / len(shares) if shares else 1.0

    def _dwell_s(self) -> float:
        return min(_DWELL_S, _FIRST_DWELL_S * 2.0 ** (len(self.decisions) - 1))

    def _reconsider(self, now_s: float) -> None:
        best = self._best()
        if best == self.choice:
            return
        if self.predicted_bytes_per_s(best) < _GAIN * self.predicted_bytes_per_s(self.choice):
            return
        self.choice, self._changed_s = best, now_s
        self._note(now_s)

    def _best(self) -> int:
        """The fastest; of those that are as good as it, what compresses with the least CPU time."""
        rates = [self.predicted_bytes_per_s(number) for number in range(len(self._candidates))]
        near = [number for number, rate in enumerate(rates) if rate >= 0.99 * max(rates)]
        return max(near, key=lambda number: self._estimate(number)[0])

    def _trial(self, now_s: float) -> int | None:
        """One that might be better than what is known of it says, if the time for trials is not used up."""
        if self._reference == 0 or self._trials_s >= _FIRST_TRIALS_S + _TRIAL_SHARE * (now_s - self._began_s):
            return None
        if self.choice == 0 or not self._candidates[self.choice].parallel:
            reference = self._known[self._reference]
            if now_s - reference.compared_s >= _STALE_BESIDE_HISTORY_S:
                reference.compared_s = now_s
                return self._reference
        return self._hopeful(now_s)

    def _hopeful(self, now_s: float) -> int | None:
        target = self.predicted_bytes_per_s(self.choice)
        for number, candidate in enumerate(self._candidates):
            if number in (0, self.choice) or not candidate.parallel or not self._is_stale(number, now_s):
                continue
            if self.predicted_bytes_per_s(number) * _HOPE > target:
                self._known[number].compared_s = now_s  # one batch each, until it is back
                return number
        return None

    def _is_stale(self, number: int, now_s: float) -> bool:
        return number != self.choice and now_s - self._known[number].compared_s >= _STALE_S

    def _compress_rate(self, choice: int, raw_bytes: int, took_s: float) -> None:
        known, rate = self._known[choice], raw_bytes / max(1e-6, took_s)
        known.compress = rate if known.compressed == 0 else _blend(known.compress, rate)
        known.compressed += 1

    def _estimate(self, choice: int) -> tuple[float, float, float]:
        """C, D and r. Priors are scaled as what was measured turned out against its own."""
        known = self._known[choice]
        compress = known.compress * (1.0 if known.compressed else self._scale("compress", "compressed"))
        decompress = known.decompress * (1.0 if known.restored else self._scale("decompress", "restored"))
        ratio = 1.0 if choice == 0 else max(1.0, 1 / (self._packed_share * known.size))
        return compress, decompress, ratio

    def _scale(self, what: str, count: str) -> float:
        """Measured over prior; "none" says nothing of codecs."""
        shares = [
            getattr(known, what) / getattr(candidate, f"{what}_bytes_per_s")
            for known, candidate in zip(self._known[1:], self._candidates[1:], strict=True)
            if getattr(known, count)
        ]
        return math.exp(sum(map(math.log, shares)) / len(shares)) if shares else 1.0

    def _note(self, now_s: float) -> None:
        compress, decompress, ratio = self._estimate(self.choice)
        predicted = self.predicted_bytes_per_s(self.choice)
        name = str(self._candidates[self.choice])
        t_s, link = now_s - self._began_s, self.link.bytes_per_s
        self.decisions.append(Decision(t_s, name, link, predicted, compress, decompress, ratio))


def _blend(old: float, new: float) -> float:
    return old + _WEIGHT * (new - old)
