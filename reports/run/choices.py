"""What ``auto`` chose and from what: a run's decisions as sentences and a table.

Result -> dataclasses of text. Knows no HTML and no charts. Decisions come from a file: one without a choice or a time is passed
over, a figure that is missing or not finite is a dash. A result without decisions has no such section.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.results.result import Result, Run
from harness.units import MIB
from reports.effects import counted_runs, medians_run, method_names
from reports.numbers import DASH, amount, finite, plural, share_percent
from reports.printable import printable
from reports.run.fallbacks import counted
from reports.table import Table

_SHARE = "sender_share_"
_LONG = 12  # rows: a longer table is folded away
_APART = 0.2  # between runs' shares: a median says too little of them
_NEVER = "not the limit"

_HEADINGS = (
    "Time (s)",
    "Choice",
    "Link (MiB/s)",
    "Predicted (MiB/s)",
    "Compression per thread (MiB/s)",
    "Decompression per thread (MiB/s)",
    "Ratio",
)

DEFINITIONS = (
    ("Choices of auto", "What the sender noted at each change of its choice, in seconds since its first batch. Link is what the "
     "link carried while it was the limit; compression and decompression are of one thread, in uncompressed bytes, and belong, "
     "as the ratio does, to the choice of that moment. Predicted is the uncompressed rate that it was chosen for: the least of "
     "what the link could carry and what both ends could do with all their threads, less what was seen to be lost between them. "
     "What has not been measured yet is a prior. A share is of the uncompressed stream."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of choice. Rates in MiB/s. ``link_known`` is False where the link was never the limit; None: not in the file."""

    t_s: float
    choice: str
    link_known: bool
    link_mib_per_s: float | None
    predicted_mib_per_s: float | None
    compress_mib_per_s: float | None
    decompress_mib_per_s: float | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Followed:
    """The run of one method that is shown: of those with decisions, the one whose total time is nearest the median.

    ``end_s``: until when its last choice held. ``of``: how many runs it was taken from.
    """

    method: str
    repeat: int
    of: int
    end_s: float
    decisions: tuple[Decision, ...]

    @property
    def which(self) -> str:
        """``Run 2 (of 3, its total time is nearest the median)``."""
        return f"Run {self.repeat}" + (f" (of {self.of}, its total time is nearest the median)" if self.of > 1 else "")


@dataclass(frozen=True, slots=True)
class Choices:
    """The section. ``notes``: where a method's runs did not agree. ``tables``: of each method, a row per decision."""

    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]


def _mib_per_s(entry: Mapping[str, object], name: str) -> float | None:
    value = finite(entry.get(f"{name}_bytes_per_s"))
    return None if value is None else value / MIB


def _decision(entry: Mapping[str, object]) -> Decision | None:
    t_s, choice = finite(entry.get("t_s")), entry.get("choice")
    if t_s is None or t_s < 0 or not isinstance(choice, str):
        return None
    return Decision(
        t_s=t_s,
        choice=choice,
        link_known=entry.get("link_bytes_per_s", DASH) is not None,
        link_mib_per_s=_mib_per_s(entry, "link"),
        predicted_mib_per_s=_mib_per_s(entry, "predicted"),
        compress_mib_per_s=_mib_per_s(entry, "compress"),
        decompress_mib_per_s=_mib_per_s(entry, "decompress"),
        ratio=finite(entry.get("ratio")),
    )


def decisions_of(run: Run) -> tuple[Decision, ...]:
    """A run's decisions in their order in time."""
    found = [decision for entry in run.decisions if (decision := _decision(entry)) is not None]
    return tuple(sorted(found, key=lambda decision: decision.t_s))


def _deciding(result: Result, method: str) -> tuple[Run, ...]:
    """Counted runs with decisions."""
    return tuple(run for run in counted_runs(result, method) if decisions_of(run))


def _methods(result: Result) -> tuple[str, ...]:
    return tuple(name for name in method_names(result) if _deciding(result, name))


def followed(result: Result) -> tuple[Followed, ...]:
    """The run to show of each method that decided; empty where none did."""
    return tuple(_followed(method, _deciding(result, method)) for method in _methods(result))


def _followed(method: str, runs: Sequence[Run]) -> Followed:
    run = medians_run(runs) or runs[0]
    decisions = decisions_of(run)
    return Followed(method, run.repeat, len(runs), max(run.total_time_s or 0.0, decisions[-1].t_s), decisions)


def _shares(run: Run) -> dict[str, float]:
    """Of the stream, by candidate; empty where the run did not count them."""
    return {key.removeprefix(_SHARE): counted(run, key) for key in run.counters if key.startswith(_SHARE)}


def _leader(shares: Mapping[str, float]) -> str | None:
    return max(shares, key=lambda name: shares[name], default=None)


def _median_shares(runs: Sequence[Run]) -> dict[str, float]:
    each = [shares for run in runs if (shares := _shares(run))]
    names = dict.fromkeys(name for shares in each for name in shares)
    return {name: median(shares.get(name, 0.0) for shares in each) for name in names}


def _settled(runs: Sequence[Run], shown: Followed) -> str:
    """``zstd:1 for 92 % of the stream``, with the range where the runs lie far apart."""
    shares = _median_shares(runs)
    leader = _leader(shares)
    if leader is None:
        return f"{shown.decisions[-1].choice} at the end of run {shown.repeat}"
    each = [_shares(run).get(leader, 0.0) for run in runs if _shares(run)]
    apart = max(each) - min(each) >= _APART
    spread = f", {share_percent(min(each))} to {share_percent(max(each))} by run" if apart else ""
    return f"{leader} for {share_percent(shares[leader])} of the stream{spread}"


def _changes(runs: Sequence[Run]) -> str:
    """``3 changes, the last after 0.34 s``."""
    each = [decisions_of(run) for run in runs]
    many = median(len(decisions) - 1 for decisions in each)
    if not many:
        return "no change"
    last_s = median(decisions[-1].t_s for decisions in each if len(decisions) > 1)
    text = plural(int(many), "change") if many == int(many) else f"{amount(many, 1)} changes"
    return f"{text}, {'the last ' if many > 1 else ''}after {_seconds(last_s)}\u00a0s"


def _seconds(value: float) -> str:
    return amount(value, 2 if value >= 0.095 else 3)


def _sentence(result: Result, shown: Followed) -> str:
    runs, all_runs = _deciding(result, shown.method), counted_runs(result, shown.method)
    of = plural(len(runs), "run") if len(runs) == len(all_runs) else f"{len(runs)} of {plural(len(all_runs), 'run')}"
    basis = f"medians of {of}" if len(runs) > 1 else of
    return f"{shown.method}: {_settled(runs, shown)}, {_changes(runs)} ({basis})."


def _disagreement(result: Result, method: str) -> str | None:
    runs = _deciding(result, method)
    leaders = Counter(leader for run in runs if (leader := _leader(_shares(run))) is not None)
    if len(leaders) < 2:
        return None
    each = ", ".join(f"{name} in {many}" for name, many in leaders.most_common())
    return f"{method}: its {len(runs)} runs did not agree. The largest part of the stream went through {each}."


def _rate(value: float | None) -> str:
    return amount(value, 1 if value is not None and value < 99.95 else 0)


def _row(decision: Decision) -> tuple[str, ...]:
    link = _rate(decision.link_mib_per_s) if decision.link_known else _NEVER
    rates = (decision.predicted_mib_per_s, decision.compress_mib_per_s, decision.decompress_mib_per_s)
    return amount(decision.t_s, 3), decision.choice, link, *map(_rate, rates), amount(decision.ratio, 2)


def _table(shown: Followed) -> Table:
    rows = tuple(_row(decision) for decision in shown.decisions)
    title = f"{shown.method}, run {shown.repeat}: {plural(len(rows), 'decision')}"
    return Table(title, _HEADINGS, rows, words=(0, 1), folded=len(rows) > _LONG)


def choices(result: Result) -> Choices | None:
    """The section; None where no counted run has decisions."""
    every = followed(result)
    if not every:
        return None
    section = Choices(
        sentences=tuple(_sentence(result, shown) for shown in every),
        notes=tuple(note for shown in every if (note := _disagreement(result, shown.method))),
        tables=tuple(_table(shown) for shown in every),
    )
    return printable(section)
