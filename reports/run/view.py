"""What a page says, as data: pure functions from results to text. No HTML, no files, no charts.

``page`` is one result's page, ``card`` its entry in an index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.metrics import METRICS
from harness.results.result import Result
from reports import facts
from reports.effects import against_baseline, counted_runs, method_names
from reports.numbers import plural
from reports.run.choices import DEFINITIONS as CHOICES_DEFINITIONS
from reports.run.choices import Choices, choices
from reports.run.details import (
    MethodRuns,
    Warned,
    environment,
    every_figure,
    every_run,
    parameters,
    warnings,
)
from reports.run.failures import failures
from reports.run.fallbacks import alerts
from reports.run.felt import Felt, felt
from reports.run.frontiers import DEFINITIONS as FRONTIER_DEFINITIONS
from reports.run.frontiers import Frontiers, frontiers
from reports.run.offload import DEFINITIONS as OFFLOAD_DEFINITIONS
from reports.run.offload import Offload, offload
from reports.run.sentences import fastest, sentences
from reports.run.stops import stops
from reports.run.verdict import Verdict, verdict
from reports.table import Table

DEFINITIONS = (
    ("CPU per GiB", "The source's CPU time over what all methods of a page share: the length of a replayed stream, or a live "
     "guest's memory, as QEMU's own compression does not tell how long its stream would have been without."),
    ("Verified", "After a live run: pages outside the working set against the source's memory, each by a digest of 128 bits, "
     "working-set pages by the guest's own sequence numbers and checksums. After a replay: the stream's digest."),
    ("Median and interval", "Medians over completed runs without warm-ups. A median's interval ends at two of the runs, so that "
     "it holds with 95\u00a0% or more, whatever the runs' distribution; below six runs it is their whole range, which holds with "
     "less. How surely it holds stands beside n. p is of a two-sided rank test of one figure of one method, and exact; the "
     "interval of a change is at the confidence that its verdict asks for."),
    ("Repeats", "Methods take turns, so that a drift of the machine meets all of them. Every method crosses the same link."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PageView:
    """One result's page, without its charts."""

    name: str
    question: str
    facts: tuple[tuple[str, str], ...]
    failures: tuple[str, ...]
    verdict: Verdict
    frontiers: Frontiers | None
    figures: Table
    felt: Felt | None
    offload: Offload | None
    choices: Choices | None
    stops: Table | None
    warnings: tuple[Warned, ...]
    environment: Table
    parameters: tuple[tuple[Table, ...], str]
    runs: tuple[MethodRuns, ...]
    definitions: tuple[tuple[str, str], ...]
    schema: str


@dataclass(frozen=True, slots=True)
class Card:
    """One result in an index."""

    label: str
    name: str
    question: str
    facts: tuple[tuple[str, str], ...]
    failures: tuple[str, ...]
    alerts: tuple[str, ...]
    sentences: tuple[str, ...]


def _facts(result: Result, runs: str) -> tuple[tuple[str, str], ...]:
    entries = (
        ("Guest", facts.guest_text(result)),
        ("Link", facts.link_text(result)),
        ("Runs", runs),
        ("Machine", facts.machine_text(result)),
        ("Started", facts.date_text(result)),
    )
    return tuple((name, text) for name, text in entries if text)


def page(result: Result, *, lean: bool = False) -> PageView:
    """Everything on one result's page but its charts. ``lean``: without what is the most of it: columns that hold nothing, runs
    without a word, and figures that the runs, which are there, give again."""
    offloaded, chosen, searched = offload(result), choices(result), frontiers(result)
    changes = against_baseline(result)
    added = (FRONTIER_DEFINITIONS if searched else ()) + (OFFLOAD_DEFINITIONS if offloaded else ())
    return PageView(
        name=facts.scenario_text(result, "name", "unnamed scenario"),
        question=facts.scenario_text(result, "description", ""),
        facts=_facts(result, facts.plan_text(result)),
        failures=failures(result),
        verdict=verdict(result, changes),
        frontiers=searched,
        figures=every_figure(result, () if lean else method_names(result), changes),
        felt=felt(result),
        offload=offloaded,
        choices=chosen,
        stops=stops(result),
        warnings=warnings(result),
        environment=environment(result),
        parameters=parameters(result),
        runs=every_run(result, lean=lean),
        definitions=_common_definitions() + added + (CHOICES_DEFINITIONS if chosen else ()),
        schema=str(result.schema),
    )


def _common_definitions() -> tuple[tuple[str, str], ...]:
    return (*((metric.title, metric.meaning) for metric in METRICS.values()), *DEFINITIONS)


def every_definition() -> tuple[tuple[str, str], ...]:
    """Of any result's page."""
    return (*_common_definitions(), *FRONTIER_DEFINITIONS, *OFFLOAD_DEFINITIONS, *CHOICES_DEFINITIONS)


def card(label: str, result: Result) -> Card:
    """One result's entry in an index."""
    doubts = len(warnings(result))
    counts = [plural(len(method_names(result)), "method"), _counts(result)] + [plural(doubts, "warning")] * (doubts > 0)
    return Card(
        label=label,
        name=facts.scenario_text(result, "name", "unnamed scenario"),
        question=facts.scenario_text(result, "description", ""),
        facts=_facts(result, ", ".join(counts)),
        failures=failures(result),
        alerts=alerts(result),
        sentences=in_words(result),
    )


def in_words(result: Result) -> tuple[str, ...]:
    """What its figures add up to, the most important sentence first."""
    searched, judged = frontiers(result), (metric for metric in METRICS.values() if metric.primary)
    return searched.sentences if searched else sentences(result, fastest(result), against_baseline(result, judged))


def _counts(result: Result) -> str:
    if result.scenario.get("frontier"):
        return plural(len(result.runs), "attempt")
    return plural(sum(len(counted_runs(result, name)) for name in method_names(result)), "counted run")


def index_summary(cards: Sequence[Card]) -> str:
    """``3 results``, or a sentence for an empty index."""
    return plural(len(cards), "result") if cards else "No results were given."
