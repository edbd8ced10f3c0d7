"""``pageferry selftest``: the lab compared with itself. Nothing changes between two results; how often is a change found?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.terminal import tell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from harness.experiment.campaign import Campaign, Part
    from harness.experiment.events import Event
    from harness.results.result import Result
    from harness.results.selftest import Pair, SelfTest
    from harness.scenario.model import Scenario

_SIDES = ("a", "b")

_EPILOG = """\b
Examples:
  pageferry selftest
  pageferry selftest --aa 5
  pageferry selftest --aa 100 --out out/alike
  pageferry selftest --aa 100 --out out/alike --resume
  pageferry selftest --aa 5 --scenario throttled --only isal-1 --set repeats=7

\b
Each of the N comparisons is of two results of the same scenario, made one after the other. They are compared as
`pageferry compare` does it, and whatever is called better or worse is a false alarm. The rule allows them in 1 % of
comparisons for each of total time, downtime, data and CPU. OUT gets a new folder with selftest.json and all results:
  OUT/2026-11-28T024107Z-4f2a91/{selftest.json,001-a,001-b,...}      OUT/latest leads to the newest
Exit status 0: no more false alarms than chance explains. 1: a run failed, or there were surely more than the rule allows.
"""


@click.command(epilog=_EPILOG, short_help="Compare like with like: how often does a comparison cry wolf?")
@click.option(
    "--aa", "comparisons", type=click.IntRange(1, 999), default=20, metavar="N", help="Make N comparisons [20]."
)
@click.option(
    "--scenario", "name", default="selftest", metavar="SCENARIO", help="Of this one [selftest, a short replay]."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of the scenario.")
@click.option("--only", multiple=True, metavar="METHOD", help="Only this method (or shell pattern) and the baseline.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out/selftest"), metavar="OUT",
    help="Folder for the campaigns' folders [out/selftest].",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with OUT/latest; N may be larger than it was.")
def command(
    *, comparisons: int, name: str, overrides: tuple[str, ...], only: tuple[str, ...], out: Path, resume: bool
) -> None:
    """Run one scenario 2 N times, compare each two results as `compare` does, and count the false alarms."""
    from harness.commands.interrupted import telling_campaign
    from harness.console import make_console, plain
    from harness.experiment.campaign import opened
    from harness.results.selftest import save_selftest
    from reports.terminal.selftest import print_selftest

    campaign = _campaign(_scenario(name, overrides, only), comparisons, out, resume=resume)
    console, found = make_console(), None
    console.print(f"[bold]{plain(name)}[/]: {comparisons} times two results", highlight=False, soft_wrap=True)
    with telling_campaign(campaign), opened(campaign):
        try:
            for found in _compared(console, campaign):
                save_selftest(found, campaign.folder / "selftest.json")
        finally:  # after an interrupt too: of what finished
            if found is not None:
                print_selftest(console, found)
    console.print(f"self-test: {plain(campaign.folder / 'selftest.json')}", soft_wrap=True, highlight=False)
    if (
        found is None
        or found.spoiled_runs
        or any(rate.broken for rate in (found.whole, *map(found.rate, found.metrics)))
    ):
        click.get_current_context().exit(1)


def _scenario(name: str, overrides: Sequence[str], only: Sequence[str]) -> Scenario:
    """:raises UserError: it is none that can be compared with itself, or nothing could be found in so few runs."""
    from harness.errors import UserError
    from harness.results.verdicts import fewest_repeats
    from harness.scenario.sweep import load_sweep

    cells = load_sweep(name, overrides, only)
    if any(cell.frontier is not None for cell in cells):
        raise UserError(f"{name}: is a search, whose runs are not alike: choose a scenario without [frontier]")
    if len(cells) > 1:
        raise UserError(
            f"{name}: is a sweep of {len(cells)} cells, and one is compared with itself: add --set 'sweep={{}}'"
        )
    (scenario,) = cells
    needed = fewest_repeats(len(scenario.methods))
    if scenario.repeats < needed:
        few = f"repeats = {scenario.repeats}, {len(scenario.methods)} methods"
        raise UserError(f"{name}: {few}: nothing could be found, so no alarm raised: --set repeats={needed} or more")
    return scenario


def _campaign(scenario: Scenario, comparisons: int, out: Path, *, resume: bool) -> Campaign:
    from harness.experiment.campaign import new_campaign, resumed_campaign

    folders = {f"{number:03d}-{side}": scenario for number in range(1, comparisons + 1) for side in _SIDES}
    if resume:
        if (campaign := resumed_campaign(out, folders)) is not None:
            return campaign
        tell(f"pageferry: {out}: nothing to go on with: a new self-test begins")
    return new_campaign(out, folders)


def _compared(console: Console, campaign: Campaign) -> Iterator[SelfTest]:
    """What is known after each comparison; a line for each."""
    from harness.console import plain
    from harness.results.selftest import SelfTest

    scenario, parts = campaign.parts[0].scenario, campaign.parts
    pairs: list[Pair] = []
    with console.status("") as status:
        shown = _Progress(status, len(parts))
        for base, new in zip(parts[::2], parts[1::2], strict=True):
            results = [_result(campaign, part, shown) for part in (base, new)]
            pair, words = _pair(base, new, *results)
            pairs.append(pair)
            console.print(f"[{len(pairs)}/{len(parts) // 2}] {plain(words)}", highlight=False, soft_wrap=True)
            methods = tuple(method.name for method in scenario.methods)
            yield SelfTest(scenario.name, methods, scenario.repeats, len(parts) // 2, tuple(pairs), campaign.identity)


def _result(campaign: Campaign, part: Part, shown: _Progress) -> Result:
    """Each is a run of its own, with its own start."""
    from harness.experiment.runner import run_scenario

    shown.begin(part.folder.name)
    return run_scenario(part.scenario, part.folder, campaign.noting(shown.take), resume=True)


def _pair(base: Part, new: Part, before: Result, after: Result) -> tuple[Pair, str]:
    """And a line about it. :raises UserError: they have nothing in common that has a verdict."""
    from harness.errors import UserError
    from harness.results.selftest import Alarm, Pair
    from reports.run.comparison import compare

    names = base.folder.name, new.folder.name
    lines = compare(before, after, names).primary
    if not lines:
        reasons = {run.reason or run.error for run in (*before.runs, *after.runs)} - {None}
        raise UserError(f"{base.folder}, {new.folder}: nothing to compare: {'; '.join(map(str, reasons)) or 'no runs'}")
    found = [line for line in lines if line.of.word in ("better", "worse")]
    alarms = [Alarm(line.method, line.of.metric.key, line.of.word, line.of.ratio, line.of.p_value) for line in found]
    runs = [run for run in (*before.runs, *after.runs) if run.status != "skipped"]
    spoiled = sum(run.status != "completed" or run.verified is False for run in runs)
    metrics = tuple(dict.fromkeys(line.of.metric.key for line in lines))
    said = "; ".join(f"{line.of.word}: {line.text}" for line in found) or "no difference found"
    return Pair(*names, metrics, tuple(alarms), spoiled), f"{names[0]}, {names[1]}: {said}"


class _Progress:
    """A line on a terminal: where it is, and how long the rest takes if it goes on as it did."""

    def __init__(self, status: Status, results: int) -> None:
        self._status, self._results = status, results
        self._begun, self._runs, self._name = 0, 0, ""
        self._began_s = time.monotonic()

    def begin(self, name: str) -> None:
        """Another result."""
        self._begun, self._name = self._begun + 1, name

    def take(self, event: Event) -> None:
        """Another run."""
        from harness.experiment.events import RunStarted

        if isinstance(event, RunStarted):
            self._runs += 1
            left = (self._results - self._begun + 1) * event.total - event.index + 1
            spent_s = time.monotonic() - self._began_s
            rest = f", about {spent_s / (self._runs - 1) * left / 60:.0f} minutes to go" if self._runs > 1 else ""
            self._status.update(f"{self._name}, run {event.index} of {event.total}: {event.method}{rest}")
