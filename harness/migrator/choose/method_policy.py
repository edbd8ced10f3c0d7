"""Decides which codec the next batch goes through. Pure: measurements come in as numbers, no clocks, no I/O, no threads.

The delivered rate of a choice is the least of what source and destination can work off (``Estimates``) and what the link can
carry, r*B (B from ``LinkRate``). Candidates are told apart by *trials*, in which one more of them compresses a batch that was sent
anyway, for a small part of the time (``TrialBudget``), and only while compressing harder or less could pay at all.

Two shipped policies failed by compressing harder when the link stalled for a moment, and by never coming back (facebook/zstd#2200,
xapi-project/xen-api#4797): here B is what was carried, not how long a queue is, a choice is left for a better
one only, and what was learnt of the others is tried again when it is old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.migrator.choose.estimates import Estimates
from harness.migrator.choose.link_rate import LinkRate
from harness.migrator.choose.stretches import Stretches
from harness.migrator.choose.trials import TrialBudget

_GAIN, _EARLY_GAIN, _LEAVING_GAIN = 1.04, 1.1, 1.1
_EARLY_S = 0.5
"""A change must promise so much: less is within what estimates err by. At first they err by more. Who leaves a history loses what
it knows, and with it what a guest that sends pages again would save."""

_EARLY_HISTORY_GAIN = 1.1
"""A history that does not begin with the migration never knows what came before, so that at first it is believed to save so much
more. An idle Linux guest at 300 Mbit/s took 1.01 to 1.06 s and 26.4 MiB with one from the first batch on, and 1.14 to 1.29 s and
38.8 to 40.7 MiB where a busy moment had it come later (live, 512 MiB, paused; 2-core Intel Xeon, 2026-11-29, n=7 and 3)."""

_NEAR = 0.98
"""What promises so much of the best is as good, and the one of these that takes the least CPU time is chosen."""

_DWELL_S = 1.0
_FIRST_DWELL_S, _REHEARSED_DWELL_S = 0.025, 0.03
"""The first choices are guesses, so that they may be left soon: each change doubles the time until the next, up to ``_DWELL_S``."""

_THINK_S = 0.01
"""Between two looks at whether to change or to try: at 1 GB/s thinking at each batch took 6 % of the time."""

_LINK_CHANGED = 1.5
_DISAPPOINTING = 0.85
_SOON_S = 0.1
"""A link that carries so many times as much, or as little, as at the last decision is a reason to decide anew soon, and so is a
choice that delivers so much less than it promised then."""

_STALE_S = 2.0
_STALE_BESIDE_HISTORY_S = 0.02
"""What keeps history saves other shares at each moment: only beside it is known what the memory is like."""

_SHARPNESS = 6
"""Of how the lesser of both limits holds: where they are alike neither is reached, as batches differ (0.89 of it). So of two
choices that the link limits alike, the one that leaves the cores more room is the better."""

_WARM_BYTES = 24 << 20
"""A history that was not prepared is slow before: its window and tables are memory that the kernel has to clear first. 86 MB/s of
the first 13 MB, 128 MB/s of all 190 (2-core Intel Xeon, 300 Mbit/s, 2026-11-25, n=2)."""

_COLD_S, _LEAST_LEFT_S = 0.15, 0.3
"""What going over to a history that was not prepared costs: see ``ZstdLongBackend.open``. There is no better guess of how long a
migration still takes than that it takes as long again as it has, so that the change must save so much by then."""

_HOPE = 1.2
"""Only what might be the best by so much more than is known of it is worth a trial."""

_UNKNOWN_BYTES_PER_S = 20e6
"""What is expected of a link of which nothing is known: little, as what is in flight may be much for it."""


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


class MethodPolicy:
    """Keeps the choice and what it is made of. Not thread-safe: its user holds a lock.

    The first candidate is "none", which is the choice while nothing is known of the link: it costs nothing, and fills the link at
    once, which is how it becomes known.
    """

    def __init__(self, estimates: Estimates) -> None:
        self.estimates = estimates
        self._candidates = tuple(estimates.candidates)
        self.link = LinkRate()
        self.choice = 0
        self.decisions: list[Decision] = []
        self._began_s = self._changed_s = self._thought_s = 0.0
        self._decided_link: float | None = None
        self._trials = TrialBudget()
        self._rehearsed = False
        self._ready = set[int]()
        self._stretches = Stretches(self.link)
        self._tried_s: dict[int, float] = {}
        self._challenger: int | None = None

    # ------------------------------------------------------------------ what was seen

    def rehearsed(self, link_bytes_per_s: float | None) -> None:
        """What the link carried before the migration; None: more than both ends could work off."""
        self._rehearsed = True
        if link_bytes_per_s is not None:
            self.link.expect(link_bytes_per_s)

    def prepared(self, choice: int) -> None:
        """A history's memory is ready."""
        self._ready.add(choice)

    def compressed(self, choice: int, raw_bytes: int, packed_bytes: int, took_s: float) -> None:
        """One batch, compressed in ``took_s`` of CPU time and sent."""
        estimates = self.estimates
        if not self._is_cold(choice):
            estimates.compressed(choice, raw_bytes, took_s)
        estimates.known[choice].raw_bytes += raw_bytes
        if choice:
            estimates.packed(choice, raw_bytes, packed_bytes)

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
        estimates = self.estimates
        estimates.compressed(choice, raw_bytes, took_s)
        estimates.known[choice].compared_s = now_s
        self._trials.end(choice, took_s / self.estimates.lanes)
        self._tried_s[choice] = now_s
        if beside == 0:
            estimates.packed(choice, raw_bytes, packed_bytes)
        elif self._candidates[beside].history and choice == estimates.reference:
            estimates.compared(beside, sent_bytes, choice, packed_bytes, raw_bytes)
        else:
            estimates.compared(choice, packed_bytes, beside, sent_bytes, raw_bytes)

    def restored(self, choice: int, raw_bytes: int, took_s: float) -> None:
        """A batch, restored in ``took_s`` of CPU time at the destination."""
        if not self._is_cold(choice):
            self.estimates.restored(choice, raw_bytes, took_s)

    def delivered(self, now_s: float, choice: int, total_bytes: int, held_back_s: float) -> None:
        """As ``Stretches.delivered``."""
        stretch = self._stretches.delivered(now_s, choice, total_bytes, held_back_s)
        if stretch is not None and not self._is_cold(choice):
            self.estimates.delivered(choice, stretch.bytes_per_s, stretch.took_s, link_was_free=stretch.link_was_free)

    def _is_cold(self, choice: int) -> bool:
        if choice in self._ready or not self._candidates[choice].history:
            return False
        return self.estimates.known[choice].raw_bytes < _WARM_BYTES

    # ------------------------------------------------------------------ what follows

    def choose(self, now_s: float, batch_bytes: int) -> tuple[int, int | None]:
        """The candidate for the next batch, and one that is tried beside it."""
        if not self.decisions:
            self._began_s = now_s
            self._change(now_s, self.first_choice)
        elif now_s - self._thought_s < _THINK_S:
            return self.choice, None
        elif now_s - self._changed_s >= self._dwell_s():
            self._reconsider(now_s)
        self._thought_s = now_s
        return self.choice, self._trial(now_s, batch_bytes)

    def predicted_bytes_per_s(self, choice: int, gain: float = 1.0) -> float:
        """Raw bytes a second that the choice delivers, as far as is known; if its ratio were ``gain`` times as high."""
        by_link = self.link.could_carry_bytes_per_s * self.estimates.ratio(choice) * gain
        lesser, greater = sorted((self.estimates.could_work_bytes_per_s(choice), by_link))
        return lesser / math.pow(1 + math.pow(lesser / greater, _SHARPNESS), 1 / _SHARPNESS)

    def _dwell_s(self) -> float:
        first_s = _REHEARSED_DWELL_S if self._rehearsed else _FIRST_DWELL_S
        dwell_s = min(_DWELL_S, first_s * 2.0 ** (len(self.decisions) - 1))
        before, now = self._decided_link, self.link.bytes_per_s
        if before is not None and now is not None and not 1 / _LINK_CHANGED < now / before < _LINK_CHANGED:
            return min(dwell_s, _SOON_S)
        promised = self.decisions[-1].predicted_bytes_per_s
        return min(dwell_s, _SOON_S) if self.predicted_bytes_per_s(self.choice) < _DISAPPOINTING * promised else dwell_s

    def _reconsider(self, now_s: float) -> None:
        best, self._challenger = self._best(cold=not self.estimates.busy), None
        if best == self.choice:
            return
        so_far_s = now_s - self._began_s
        gain = _EARLY_GAIN if so_far_s < _EARLY_S else _GAIN
        if self._candidates[self.choice].history:
            gain = max(gain, _LEAVING_GAIN)
        if self._is_cold(best):
            gain = max(gain, 1 + _COLD_S / max(_LEAST_LEFT_S, so_far_s))
        if self.predicted_bytes_per_s(best) < gain * self.predicted_bytes_per_s(self.choice):
            return
        if self._may_go_over(now_s, best):
            self._change(now_s, best)
        else:
            self._challenger = best

    def _may_go_over(self, now_s: float, best: int) -> bool:
        """Whether a history may be left for ``best``: where the link is the limit, what that saves must have been seen beside it,
        as memory may have become such that nothing saves what was known of it."""
        if not self._candidates[self.choice].history or best in (0, self.estimates.reference):
            return True
        by_link = self.link.could_carry_bytes_per_s * self.estimates.ratio(self.choice)
        if self.estimates.could_work_bytes_per_s(self.choice) < by_link:
            return True
        return now_s - self._tried_s.get(best, -math.inf) < _STALE_S

    @property
    def expected_bytes_per_s(self) -> float:
        """The delivered rate of the first choice."""
        return self.predicted_bytes_per_s(self.first_choice) if self._rehearsed else _UNKNOWN_BYTES_PER_S

    @property
    def first_choice(self) -> int:
        """What the first batch will go through, as far as is known."""
        return 0 if self.link.bytes_per_s is None else self._best(cold=True)

    def _best(self, *, cold: bool) -> int:
        """``cold``: of all; else without histories whose memory is not ready, for which a busy host takes its time."""
        numbers = [n for n in range(len(self._candidates)) if self._may_follow(n) and (cold or not self._is_cold(n))]
        gains = [1.0 if self.decisions or not self._candidates[n].history else _EARLY_HISTORY_GAIN for n in numbers]
        rates = {n: self.predicted_bytes_per_s(n, gain) for n, gain in zip(numbers, gains, strict=True)}
        best = max(rates.values())
        near = [number for number, rate in rates.items() if rate >= _NEAR * best]
        return max(near, key=self.estimates.compress_bytes_per_s)

    def _may_follow(self, choice: int) -> bool:
        """A history does not follow another one: it would begin with nothing, and save little more once it knows as much."""
        return choice == self.choice or not (self._candidates[choice].history and self._candidates[self.choice].history)

    def _trial(self, now_s: float, batch_bytes: int) -> int | None:
        """One that might be better than what is known of it says, if what it is expected to take is left for trials."""
        number = self._worth_a_trial(now_s) if self._challenger is None else self._challenger
        if number is None:
            return None
        expected_s = batch_bytes / self.estimates.compress_bytes_per_s(number) / self.estimates.lanes
        if not self._trials.begin(number, now_s - self._began_s, expected_s):
            return None
        self.estimates.known[number].compared_s = now_s  # one each, until it is back
        self._challenger = None
        return number

    def _worth_a_trial(self, now_s: float) -> int | None:
        if (reference := self.estimates.reference) == 0:
            return None
        target = self.predicted_bytes_per_s(self.choice)
        if self.choice == 0 or self._candidates[self.choice].history:
            known = self.estimates.known[reference]
            if now_s - known.compared_s >= _STALE_BESIDE_HISTORY_S and self._might_change(target):
                return reference
        return self._hopeful(now_s, target)

    def _might_change(self, target: float) -> bool:
        """Whether memory could be such that another choice is better: one that compresses could work off more."""
        could_work = self.estimates.could_work_bytes_per_s
        return any(could_work(number) > target for number in range(1, len(self._candidates)) if number != self.choice)

    def _hopeful(self, now_s: float, target: float) -> int | None:
        for number, candidate in enumerate(self._candidates):
            known = self.estimates.known[number]
            if number in (0, self.choice) or candidate.history or now_s - known.compared_s < _STALE_S:
                continue
            if self.predicted_bytes_per_s(number) * _HOPE > target:
                return number
        return None

    def _change(self, now_s: float, choice: int) -> None:
        self.choice, self._changed_s, self._decided_link = choice, now_s, self.link.bytes_per_s
        self._tried_s, self._challenger = {}, None
        estimates = self.estimates
        self.decisions.append(
            Decision(
                now_s - self._began_s,
                str(self._candidates[choice]),
                self.link.bytes_per_s,
                self.predicted_bytes_per_s(choice),
                estimates.compress_bytes_per_s(choice),
                estimates.restore_bytes_per_s(choice),
                estimates.ratio(choice),
            )
        )
