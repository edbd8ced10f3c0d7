"""Where each method stops converging: a result's frontiers as sentences and tables.

Result -> dataclasses of text. Knows no HTML and no charts. A result of a scenario that does not search has no such section.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from harness.results.result import Result
from harness.results.search import Frontier, value_text
from harness.units import MIB
from reports.facts import baseline_name
from reports.numbers import DASH, amount, plural
from reports.printable import printable
from reports.table import Table

_TITLES = {
    "dirty_rate": "The highest dirty rate at which each method converges",
    "downtime_limit": "The lowest downtime limit at which each method converges",
}

DEFINITIONS = (
    ("Converged", "QEMU stops the guest when it believes that what is left fits into the downtime limit, so a migration that does "
     "not converge is one that the timeout ended. Where the highest dirty rate is looked for, a guest that stood still for half "
     "as long again as the limit did not converge either, whatever QEMU believed. A guest that wrote less than 90\u00a0% of what "
     "it was asked to shows nothing of that rate; it counts as one that did not converge, and is marked."),
    ("Brackets", "The frontier lies between the value at which a method converged and the one at which it did not. Single runs "
     "narrow the bracket, geometrically; each of its ends is then confirmed by most of the runs at it. The range of a ratio is "
     "what both brackets allow."),
    ("Dirty rate that the guest reached", "Pages that the guest says it wrote from the migrate command until after its RESUME, "
     "over the time in which it ran. Median of the runs that converged."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frontiers:
    """The section."""

    sentences: tuple[str, ...]
    tables: tuple[Table, ...]


def frontiers(result: Result) -> Frontiers | None:
    """The section; None where the scenario does not search."""
    if not result.scenario.get("frontier"):
        return None
    found = {search: tuple(each for each in result.frontiers if each.search == search) for search in _TITLES}
    tables = tuple(_table(result, search, each) for search, each in found.items() if each)
    sentences = [sentence for search, each in found.items() if (sentence := _sentence(result, search, each))]
    sentences.append(_trust(result))
    return printable(Frontiers(tuple(sentences), tables))


def _sentence(result: Result, search: str, found: tuple[Frontier, ...]) -> str | None:
    """The methods whose frontier lies farthest, beside the baseline's, with the shortest downtime among them."""
    base = next((each for each in found if each.method == baseline_name(result)), None)
    others = [each for each in found if each is not base and each.converged_at is not None]
    if not others:
        return None
    highest = search == "dirty_rate"
    value = (max if highest else min)(each.converged_at for each in others if each.converged_at is not None)
    farthest = [each for each in others if each.converged_at == value]
    best = min(farthest, key=_downtime_s)
    names = ", ".join(each.method for each in farthest)
    what = "highest dirty rate" if highest else "lowest downtime limit"
    words = f"{names} converged at the {what}: {value_text(search, value)}{_open_end(best)}"
    if base is not None:
        at = "none" if base.converged_at is None else f"{value_text(search, base.converged_at)}{_open_end(base)}"
        words += f"; {base.method} at {at}"
    if best.downtimes_s:
        words += f". The guest then stood still for {value_text('downtime_limit', _downtime_s(best))} ({best.method}"
        stood = base is not None and bool(base.downtimes_s)
        words += f"; {base.method} {value_text('downtime_limit', _downtime_s(base))})" if base and stood else ")"
    return f"{words}."


def _downtime_s(frontier: Frontier) -> float:
    return median(frontier.downtimes_s) if frontier.downtimes_s else float("inf")


def _open_end(frontier: Frontier) -> str:
    """Why the frontier may lie beyond."""
    if frontier.guest_limited:
        return " (the guest itself wrote no faster)"
    return "" if frontier.failed_at is not None else " (as far as was tried)"


def _trust(result: Result) -> str:
    ended = [run for run in result.runs if run.status == "completed"]
    wrong = sum(run.verified is False for run in result.runs)
    if wrong:
        return f"Verification found wrong memory in {plural(wrong, 'run')}. Do not trust these figures."
    if not result.runs:
        return "No run was made, so no frontier is known."
    checked = sum(run.verified is True for run in ended)
    return f"{plural(len(result.runs), 'run')}; {checked} of the {len(ended)} that ended had their memory verified."


def _table(result: Result, search: str, found: tuple[Frontier, ...]) -> Table:
    against = f"Against {baseline_name(result) or 'the baseline'}"
    headings = (
        "Method",
        "Converged at",
        "Did not at",
        against,
        "STOP to RESUME (ms)",
        against,
        "Guest wrote (MiB/s)",
        "Runs",
    )
    return Table(_TITLES[search], headings, tuple(map(_cells, found)))


def _cells(frontier: Frontier) -> tuple[str, ...]:
    failed = _end(frontier.search, frontier.failed_at, frontier.failed_runs)
    wrote = frontier.dirty_rates_bytes_per_s
    return (
        frontier.method,
        _end(frontier.search, frontier.converged_at, frontier.converged_runs),
        f"{failed}: the guest was too slow" if frontier.guest_limited else failed,
        times_text(frontier.vs_baseline, *frontier.vs_baseline_range) or DASH,
        _range_ms(frontier.downtimes_s),
        times_text(frontier.downtime_vs_baseline) or DASH,
        amount(median(wrote) / MIB, 1) if wrote else DASH,
        str(frontier.runs),
    )


def _end(search: str, value: float | None, votes: tuple[int, int]) -> str:
    """``112 MiB/s (3 of 3)``."""
    return DASH if value is None else f"{value_text(search, value)} ({votes[0]} of {votes[1]})"


def times_text(ratio: float | None, low: float | None = None, high: float | None = None) -> str:
    """``2.8 x (over 2.6, under 3.1)``; an end that was not found is open. Empty where nothing is known."""
    bounds = [
        f"{word} {amount(end, 2) if end >= 0.1 else f'{end:.1g}'}"
        for word, end in (("over", low), ("under", high))
        if end is not None
    ]
    figure = [] if ratio is None else [f"{amount(ratio, 2)} x"]
    return " ".join([*figure, *([f"({', '.join(bounds)})"] if bounds else [])])


def _range_ms(downtimes_s: tuple[float, ...]) -> str:
    """``41 (38 to 44)``: the median and the range."""
    if not downtimes_s:
        return DASH
    middle, low, high = (amount(value * 1e3) for value in (median(downtimes_s), min(downtimes_s), max(downtimes_s)))
    return middle if len(downtimes_s) == 1 else f"{middle} ({low} to {high})"
