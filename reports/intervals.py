"""How surely medians' intervals hold, in words: beside a table's n and in the captions of charts alike."""

from __future__ import annotations

from collections.abc import Iterable

from harness.results.inference import FEWEST, coverage
from harness.results.verdicts import share_text


def held_text(runs: int) -> str:
    """``98 %``; below ``FEWEST`` runs ``range, 75 %``; of one run, which has no interval, nothing."""
    if runs < 2:
        return ""
    return f"{'range, ' if runs < FEWEST else ''}{share_text(coverage(runs))}"


def count_text(runs: int) -> str:
    """A table's n, with how surely its intervals hold: ``7 (98 %)``."""
    return f"{runs} ({held})" if (held := held_text(runs)) else str(runs)


def interval_sentence(counts: Iterable[int], lines: str = "Lines") -> str:
    """What a chart's ``lines`` are, where each median is one of so many runs: ``Lines are the medians' 98 % intervals.``"""
    ranges, intervals = set[int](), set[int]()
    for count in counts:
        if count > 1:
            (ranges if count < FEWEST else intervals).add(count)
    if not ranges and not intervals:
        return "One run has no interval."
    range_words = f"the runs' whole range, which holds the true median with {_shares(ranges)}" if ranges else ""
    if not intervals:
        return f"{lines} are {range_words}."
    return f"{lines} are the medians' {_shares(intervals)} intervals{f', or below {FEWEST} runs {range_words}' * bool(ranges)}."


def _shares(counts: Iterable[int]) -> str:
    """From the least to the most."""
    found = sorted(map(coverage, counts))
    ends = dict.fromkeys(map(share_text, (found[0], found[-1])))
    return " to ".join(ends).replace(" % to", " to") if ends else ""
