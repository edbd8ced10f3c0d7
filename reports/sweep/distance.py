"""Sweeps over link.delay: what the length of a link costs each method, as data, sentences and a table.

A group is the cells that differ in the delay alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.results.metrics import METRICS
from harness.results.result import MetricSummary, Result
from reports.effects import method_names, summary_of
from reports.facts import (
    bandwidth_text,
    baseline_name,
    delay_of,
    file_name,
    joined,
    link_kind,
    loss_text,
    scenario_text,
)
from reports.intervals import count_text
from reports.numbers import DASH, percent, plural, scaled, with_interval
from reports.sweep.article import Article
from reports.table import Table

_TOLD_BY_LINK = ("link.bandwidth", "link.delay", "link.jitter", "link.loss")
_HOW = {
    "netns": "Packets were held back between two network namespaces: TCP's own windows and losses are in these times.",
    "relay": "A relay held each byte back: TCP's own windows and losses over a distance are not in these times.",
}
_TIME = METRICS["total_time_s"]


@dataclass(frozen=True, slots=True)
class Group:
    """``times``: of each method, round trip in ms -> its total time. ``round_trips_ms`` ascend. ``links``: kinds, as made."""

    label: str
    links: frozenset[str]
    baseline: str | None
    round_trips_ms: tuple[float, ...]
    times: Mapping[str, Mapping[float, MetricSummary]]


def groups(results: Sequence[Result]) -> tuple[Group, ...]:
    """One for each link and guest that was tried at two lengths or more."""
    found: dict[tuple[object, ...], dict[float, Result]] = {}
    for result in results:
        found.setdefault(_key(result), {}).setdefault(_round_trip_ms(result), result)
    return tuple(_group(cells) for cells in found.values() if len(cells) > 1)


def _key(result: Result) -> tuple[object, ...]:
    """All that is the same in a group; the scenario's own name has the cell behind it."""
    scenario = result.scenario
    link = {key: value for key, value in scenario.get("link", {}).items() if key != "delay_s"}
    name = file_name(result)
    return name, str(sorted(link.items())), str(scenario.get("guest")), _others(result)


def _others(result: Result) -> str:
    return ", ".join(value for key, value in result.scenario.get("cell", {}).items() if key not in _TOLD_BY_LINK)


def _round_trip_ms(result: Result) -> float:
    return round(2e3 * delay_of(result)[0], 6)


def _group(cells: Mapping[float, Result]) -> Group:
    first = next(iter(cells.values()))
    round_trips = tuple(sorted(cells))
    names = dict.fromkeys(name for result in cells.values() for name in method_names(result))
    times = {
        name: {
            ms: summary for ms in round_trips if (summary := summary_of(cells[ms], name, "total_time_s")) is not None
        }
        for name in names
    }
    return Group(
        label=_label(first),
        links=frozenset(link_kind(result) for result in cells.values() if any(delay_of(result))),
        baseline=baseline_name(first),
        round_trips_ms=round_trips,
        times={name: found for name, found in times.items() if found},
    )


def _label(result: Result) -> str:
    """What its cells have in common."""
    jitter_s = delay_of(result)[1]
    jitter = f"jitter up to {jitter_s * 1e3:g} ms each way" if jitter_s else ""
    words = joined(bandwidth_text(result), jitter, loss_text(result), _others(result))
    return words or scenario_text(result, "name", "unnamed scenario")


def article(group: Group) -> Article:
    """What one group says: a row of median total times with their intervals for each round trip, a column for each method."""
    headings = ("Round trip", *(f"{name} (ms)" for name in group.times), "n")
    rows = tuple(
        (f"{ms:g} ms", *(_cell(found.get(ms)) for found in group.times.values()), _counts(group, ms))
        for ms in group.round_trips_ms
    )
    return Article(group.label, _sentences(group), (Table(f"Total time by round trip: {group.label}", headings, rows),))


def _cell(summary: MetricSummary | None) -> str:
    return DASH if summary is None else with_interval(_TIME, summary.median, summary.ci95)


def _counts(group: Group, ms: float) -> str:
    """Of the runs behind a row, and how surely its intervals hold."""
    counts = sorted({found[ms].n for found in group.times.values() if ms in found})
    return " to ".join(map(count_text, dict.fromkeys((counts[0], counts[-1]))))


def _sentences(group: Group) -> tuple[str, ...]:
    """How much longer each method takes over the longest link than over the shortest."""
    short, long = group.round_trips_ms[0], group.round_trips_ms[-1]
    counts = sorted(summary.n for found in group.times.values() for summary in found.values())
    runs = plural(counts[0], "run") if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]} runs"
    changes = [
        f"{name} {percent((found[long].median / found[short].median - 1) * 100)} "
        f"({scaled(_TIME, found[short].median)} to {scaled(_TIME, found[long].median)} ms)"
        for name, found in group.times.items()
        if short in found and long in found and found[short].median > 0
    ]
    if not changes:
        return (f"No method has figures at both {short:g} and {long:g} ms round trip.",)
    how = tuple(_HOW[kind] for kind in sorted(group.links & _HOW.keys()))
    return (
        f"Total time at {long:g} ms round trip against {short:g} ms, medians of {runs}: {', '.join(changes)}.",
        *how,
    )
