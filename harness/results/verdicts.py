"""A figure of two sets of runs -> better, worse, the same, or not to be told yet. The one home of that rule and its words.

A comparison looks at many figures, and chance moves some of them. So what decides is declared beforehand: ``METRICS`` has four
primary metrics. Each may raise a false alarm in 1 of 100 comparisons, over all methods together (Holm); so all four in 4 of 100
at most. A difference counts where the interval of the ratio leaves out 1; two figures are the same where the whole interval lies
within the smallest effect that matters. All else is not known yet, and then it is said how many runs would tell.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.results import inference
from harness.results.metrics import SMALLEST_EFFECT, Metric

NOTE = (
    "Total time, downtime, data and CPU on both sides are judged, and no other figure: better or worse where chance alone would "
    "show such a difference in 1 of 100 comparisons at most, all methods together; the same where the change surely lies within "
    "{smallest}; else so few runs cannot tell, and n is how many on each side probably would."
)
"""How a reader is to take the words; ``smallest``: effect that matters."""
LEVEL = 0.01
"""Share of comparisons with a false alarm, of one primary metric's family: all methods of a comparison."""
_UNJUDGED_LEVEL = 0.05

Word = Literal["better", "worse", "same", "unclear", "unjudged"]
"""``unclear``: so few runs cannot tell. ``unjudged``: no primary metric, or nothing that a ratio can be made of."""


@dataclass(frozen=True, slots=True)
class Change:
    """``metric`` of a method's ``runs`` against ``reference_runs`` others.

    ``ratio``: of the medians. ``interval``: of the ratio, at the confidence 1 - ``level``, which Holm's rule gave it.
    ``smallest``: effect that matters, as a share. ``spread``: by which runs vary, as a share; None: it cannot be known.
    """

    metric: Metric
    word: Word
    ratio: float
    interval: tuple[float, float] | None
    level: float
    p_value: float
    runs: int
    reference_runs: int
    smallest: float
    spread: float | None

    @property
    def blind(self) -> bool:
        """Whether so few runs find no difference, however large."""
        return inference.finds_nothing(self.runs, self.reference_runs, self.level)

    @property
    def visible(self) -> float | None:
        """The change, as a share, that so many runs find in 8 of 10 cases; None: they can find none."""
        if self.spread is None:
            return None
        return inference.visible_shift(self.spread, self.runs, self.reference_runs, self.level)

    @property
    def needed(self) -> int | None:
        """With so many runs on each side it can be told, if things are as they look; None: it can be told, or never."""
        if self.word != "unclear" or self.ratio <= 0:
            return None
        if self.spread is None:
            return inference.fewest_runs(self.level) if self.blind else None
        size = max(self.ratio, 1 / self.ratio)
        apart = max(size, (1 + self.smallest) / size) - 1  # from none, or from the end of what does not matter
        return max(1 + max(self.runs, self.reference_runs), inference.runs_to_see(apart, self.spread, self.level))

    @property
    def words(self) -> str:
        """The verdict: ``same within 2 %``."""
        if self.word == "unclear":
            return "cannot tell" + (f", needs n = {self.needed}" if self.needed else "")
        return {"same": f"same within {share_text(self.smallest)}", "unjudged": "no verdict"}.get(self.word, self.word)

    @property
    def power_words(self) -> str:
        """How much these runs could have seen: what belongs beside ``cannot tell``."""
        if self.blind:
            fewest = inference.fewest_runs(self.level)
            return f"so few runs find no difference, however large: {fewest} would"
        if self.visible is None:
            return "a run measured nothing, and there is no ratio to that"
        return f"could have seen a change of {share_text(self.visible)}"


def share_text(share: float) -> str:
    """``2 %``, ``0.5 %``."""
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.0f} %"


def too_few(changes: Iterable[Change]) -> str | None:
    """A sentence where so few runs could tell none of ``changes``, however large, with how many it takes; None: some they could."""
    judged = [change for change in changes if change.word != "unjudged"]
    if not judged or not all(change.blind for change in judged):
        return None
    runs = min(min(change.runs, change.reference_runs) for change in judged)
    needed = max(inference.fewest_runs(change.level) for change in judged)
    many = "One run decides" if runs == 1 else f"{runs} runs decide"
    return f"{many} nothing, however far apart figures lie: a verdict takes {needed} runs of each or more (--set repeats={needed})."


def fewest_repeats(methods: int) -> int:
    """With fewer runs of each nothing can be found where so many are compared."""
    return inference.fewest_runs(LEVEL / methods)


def judge(
    metric: Metric, samples: Mapping[str, tuple[Sequence[float], Sequence[float]]], smallest: float = SMALLEST_EFFECT
) -> dict[str, Change]:
    """By method: the change from the second of its two samples to the first, all of them one family.

    A method whose reference has a median of 0 or less has no ratio, and is left out.
    """
    sides = {method: pair for method, pair in samples.items() if all(pair) and statistics.median(pair[1]) > 0}
    p_values = [inference.p_value(new, old) for new, old in sides.values()]
    levels = inference.holm_levels(p_values, LEVEL) if metric.primary else [_UNJUDGED_LEVEL] * len(sides)
    return {
        method: _change(metric, sides[method], p_value, level, smallest)
        for method, p_value, level in zip(sides, p_values, levels, strict=True)
    }


def _change(
    metric: Metric, sides: tuple[Sequence[float], Sequence[float]], p_value: float, level: float, smallest: float
) -> Change:
    new, old = sides
    ratio, runs = statistics.median(new) / statistics.median(old), (len(new), len(old))
    interval = inference.ratio_interval(new, old, level)
    if (
        interval is not None
    ):  # of odd samples the medians' ratio may lie outside: what is printed beside it must hold it
        interval = min(interval[0], ratio), max(interval[1], ratio)
    word = _word(metric, interval, smallest)
    spread = inference.noise(new, old) if min(*new, *old) > 0 else None
    return Change(metric, word, ratio, interval, level, p_value, *runs, smallest, spread)


def _word(metric: Metric, interval: tuple[float, float] | None, smallest: float) -> Word:
    if not metric.primary:
        return "unjudged"
    if interval is None:
        return "unclear"
    low, high = interval
    if 1 / (1 + smallest) <= low and high <= 1 + smallest:
        return "same"
    if low <= 1 <= high:
        return "unclear"
    return "better" if (low > 1) == metric.more_is_better else "worse"
