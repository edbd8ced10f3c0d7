"""What the guest felt: its throughput over time around a migration, and how much work each method cost it.

Result -> dataclasses of numbers and text. Knows no HTML and draws nothing. A result without any count of work has no such section.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.results.metrics import METRICS
from harness.results.result import Result, Run
from harness.results.work import GuestWork, lost_within_s
from reports.effects import counted_methods, counted_runs, medians_run, summary_of
from reports.intervals import count_text
from reports.numbers import DASH, amount, scaled, share_percent, with_interval
from reports.table import Table

_PACES = ("work_before_per_s", "work_during_per_s", "work_after_per_s")
_SHORTEST_S = 0.2
"""Counts come ten times a second, each some milliseconds late: over less than two of them the pace is mostly that."""
_FEWEST_COUNTED = 10
_MOST_STRETCHES = 100  # of one method: a screen shows no more
_ALL_STRETCHES = 1200  # of all methods


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the guest worked evenly, as far as its counts tell: ``per_s``, which is ``share`` of the pace of before.

    Seconds since the ``migrate`` command.
    """

    from_s: float
    to_s: float
    per_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One run's throughput over time. ``passes``: number of each pass after the first, and when it was seen to have begun."""

    method: str
    repeat: int
    work: GuestWork
    stretches: tuple[Stretch, ...]
    passes: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Felt:
    """What a page says beside the curves."""

    sentence: str
    table: Table


def felt(result: Result) -> Felt | None:
    """Medians of every method whose guest counted its work; None: none did."""
    if result.scenario.get("frontier"):  # its runs differ in what they tried
        return None
    counted = {method: _counted(result, method) for method in counted_methods(result)}
    counted = {method: works for method, works in counted.items() if works}
    if not counted:
        return None
    unit = next(work.unit for works in counted.values() for work in works)
    headings = ("Method", *(METRICS[key].heading for key in (*_PACES, "work_lost_s")), "May be off by (s)")
    headings += (*(METRICS[key].heading for key in ("downtime_s", "heartbeat_gap_s", "vcpu_s")), "n")
    return Felt(
        f"The guest counts its own work: one unit is one {unit}. Work lost is how many seconds of normal work it did not do, from "
        "the migrate command until a second after the migration. A guest that only stands still loses its downtime; what it loses "
        "beyond that, it lost by running slower.",
        Table(
            "What the guest felt: medians, work lost with its interval",
            headings,
            tuple(_row(result, *each) for each in counted.items()),
        ),
    )


def _counted(result: Result, method: str) -> list[GuestWork]:
    return [run.work for run in counted_runs(result, method) if run.work is not None]


def _row(result: Result, method: str, works: Sequence[GuestWork]) -> tuple[str, ...]:
    medians = {key: summary.median for key in METRICS if (summary := summary_of(result, method, key)) is not None}
    before = medians.get(_PACES[0])
    paces = [_pace_text(medians.get(key), before if key != _PACES[0] else None) for key in _PACES]
    others = (scaled(METRICS[key], medians.get(key)) for key in ("downtime_s", "heartbeat_gap_s", "vcpu_s"))
    lost = summary_of(result, method, "work_lost_s")
    lost_text = DASH if lost is None else with_interval(METRICS["work_lost_s"], lost.median, lost.ci95)
    counted = count_text(len(works))
    return (method, *paces, lost_text, amount(lost_within_s(works), 2), *others, counted)


def _pace_text(per_s: float | None, before_per_s: float | None) -> str:
    """``814 (80 %)``."""
    text = amount(per_s, 0 if per_s is None or per_s >= 100 else 1)
    return text if per_s is None or not before_per_s else f"{text} ({share_percent(per_s / before_per_s)})"


def curves(result: Result) -> tuple[Curve, ...]:
    """Of each method's median run, of those in which the guest counted."""
    methods = counted_methods(result)
    most = min(_MOST_STRETCHES, max(8, _ALL_STRETCHES // max(1, len(methods))))
    found = []
    for method in methods:
        run = medians_run([run for run in counted_runs(result, method) if run.work is not None])
        if run is not None and run.work is not None and run.work.points:
            found.append(Curve(method, run.repeat, run.work, tuple(stretches(run.work, most)), tuple(_passes(run))))
    return tuple(found)


def _passes(run: Run) -> Iterator[tuple[int, float]]:
    for before, after in pairwise(run.samples):
        if after.passes is not None and after.passes > max(1, before.passes or 0):
            yield after.passes, after.t_s


def stretches(work: GuestWork, most: int = _MOST_STRETCHES) -> list[Stretch]:
    """Between its counts, joined until they tell a pace; while it stood still it did nothing, whatever lies between two counts."""
    span_s = work.points[-1].t_s - work.points[0].t_s
    shortest_s = max(_SHORTEST_S, _FEWEST_COUNTED / work.before_per_s, span_s / most)
    joined: list[_Piece] = []
    for piece in _pieces(work):
        if joined and joined[-1].span_s < shortest_s and joined[-1].goes_on(piece):
            joined[-1] = joined[-1].with_(piece)
        else:
            joined.append(piece)
    for at in range(len(joined) - 1, 0, -1):  # what is left over before it stops
        if joined[at].span_s < shortest_s and joined[at - 1].goes_on(joined[at]):
            joined[at - 1 : at + 1] = [joined[at - 1].with_(joined[at])]
    return [Stretch(one.from_s, one.to_s, one.per_s, one.per_s / work.before_per_s) for one in joined]


@dataclass(frozen=True, slots=True)
class _Piece:
    from_s: float
    to_s: float
    done: float
    stood: bool

    @property
    def span_s(self) -> float:
        return self.to_s - self.from_s

    @property
    def per_s(self) -> float:
        return self.done / self.span_s

    def goes_on(self, later: _Piece) -> bool:
        """Whether nothing happened between them: neither did the guest stop or go on, nor the migration begin."""
        return self.stood == later.stood and not self.from_s < 0 <= later.from_s

    def with_(self, later: _Piece) -> _Piece:
        return _Piece(self.from_s, later.to_s, self.done + later.done, self.stood)


def _pieces(work: GuestWork) -> Iterator[_Piece]:
    """From count to count, and apart from them the time in which it stood still."""
    for one, next_one in pairwise(work.points):
        stop_s = min(max(work.stop_s, one.t_s), next_one.t_s)
        resume_s = min(max(work.resume_s, one.t_s), next_one.t_s)
        done = next_one.done - one.done
        ran_s = next_one.t_s - one.t_s - (resume_s - stop_s)
        for from_s, to_s, stood in (
            (one.t_s, stop_s, False),
            (stop_s, resume_s, True),
            (resume_s, next_one.t_s, False),
        ):
            if to_s > from_s:
                yield _Piece(from_s, to_s, 0.0 if stood else done * (to_s - from_s) / ran_s, stood)
