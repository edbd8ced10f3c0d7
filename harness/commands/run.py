"""``pageferry run``: scenarios in, results, reports and a summary table out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import complete_scenarios, experiment_options, pair_options, tell_undrawn
from harness.errors import MissingError
from harness.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from harness.experiment.campaign import Campaign, Part
    from harness.results.result import Result
    from harness.scenario.model import Scenario

_EPILOG = """\b
Examples:
  pageferry run throttled
  pageferry run throttled --set guest.memory=2GiB --set repeats=10 --out out/2g
  pageferry run unlimited throttled --only 'zstd-*' --out out/both
  pageferry run my/scenario.toml --set method.isal-1.threads=4
  pageferry run adaptive --set link.bandwidth=100Mbit/s
  pageferry run codecs --tag nightly --out out/nightly
  pageferry run convergence --resume
  pageferry run throttled codecs --skip-missing
  pageferry run throttled --pair lab --hosts hosts.toml

\b
A SCENARIO that names no [[method]] is run by the usual ones, which `pageferry list methods` shows.

\b
Every run fills a new folder, OUT/START-ID, and touches no older one; OUT/latest is a link to the newest:
  OUT/2026-11-28T024107Z-4f2a91/{result.json,report.html,pyperf.json,pyperf,logs}
  OUT/2026-11-28T024107Z-4f2a91/SCENARIO/...  and index.html above them, of several scenarios or a sweep
Interrupted (Ctrl-C), it leaves the table, page and files of the runs that finished, and --resume goes on
with the rest in the same folder.
Exit status 0: every run completed and verified, or was skipped with its reason. 1: a run failed. 3: nothing could run.
"""


@click.command(epilog=_EPILOG, short_help="Run scenarios, measure, and write their reports.")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...", shell_complete=complete_scenarios)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="OUT",
    help="Folder for the runs' folders [out/SCENARIO; of several scenarios out].",
)
@experiment_options
@click.option(
    "--skip-missing", is_flag=True,
    help="Where this machine lacks what a scenario needs (QEMU, its memory), save why, skip it and go on [end with 3].",
)  # fmt: skip
@pair_options
def command(
    *,
    scenarios: tuple[str, ...],
    out: Path | None,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    tags: tuple[str, ...],
    pair: str | None,
    hosts: Path,
    resume: bool,
    skip_missing: bool,
) -> None:
    """Run each SCENARIO (a shipped one by name, or a TOML file), measure it, and write result.json, report.html and pyperf/."""
    from harness.commands.interrupted import telling_campaign
    from harness.console import make_console
    from harness.experiment.campaign import opened, went_wrong
    from harness.links.pair import across, leased
    from harness.scenario.inventory import load_pair
    from harness.scenario.sweep import load_sweep
    from reports.terminal.regrets import print_regrets

    cells = [cell for name in scenarios for cell in load_sweep(name, overrides, only)]
    if pair is not None:
        found = load_pair(pair, hosts)
        cells = [across(cell, pair, found) for cell in cells]
    campaign = campaign_of([(cell.name, cell) for cell in cells], out, tags, resume)
    console = make_console()
    results: dict[str, Result] = {}
    with (
        leased(cells[0].link, f"pageferry run {' '.join(scenarios)}"),
        telling_campaign(campaign, lambda: _pages(campaign)),
        opened(campaign),
    ):
        try:
            for part in campaign.parts:
                _say_what(console, part.scenario, overrides)
                _run(console, campaign, part, results, skip_missing=skip_missing)
        finally:  # after an interrupt too: of what finished
            if results:
                print_regrets(console, list(results.values()))
            if results and len(campaign.parts) > 1:
                _write_index(console, campaign, results)
    if any(went_wrong(result) for result in results.values()):
        click.get_current_context().exit(1)
    for result in results.values():
        if not skip_missing and all(run.status == "skipped" for run in result.runs):
            raise MissingError(
                f"{result.scenario['name']}: nothing ran, for every method was skipped with the reason above"
            )


def campaign_of(
    scenarios: Sequence[tuple[str, Scenario]], out: Path | None, tags: tuple[str, ...], resume: bool
) -> Campaign:
    """New, or what is gone on with. ``scenarios``: each with the name of its folder, where there are several.

    :raises UserError: two scenarios would fill one folder, or what is to be resumed is of others.
    """
    from harness.errors import UserError
    from harness.experiment.campaign import new_campaign, resumed_campaign

    names = [name for name, _ in scenarios]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name}: two scenarios of one name would fill one folder; run them apart or rename a file")
    files = {name.partition("+")[0] for name in names}  # a sweep's cells are of one
    base = out or (Path("out") / files.pop() if len(files) == 1 else Path("out"))
    folders = dict(scenarios) if len(scenarios) > 1 else {"": scenarios[0][1]}
    if resume:
        if (campaign := resumed_campaign(base, folders, tags)) is not None:
            return campaign
        tell(f"pageferry: {base}: nothing to go on with: a new run begins")
    return new_campaign(base, folders, tags)


def _say_what(console: Console, scenario: Scenario, overrides: Sequence[str]) -> None:
    """Its file's own words, and what is set otherwise, as they may say "1 Gbit/s" where that is."""
    from harness.console import plain

    otherwise = f" (with {', '.join(overrides)})" if overrides else ""
    words = f"[bold]{plain(scenario.name)}[/]: {plain(scenario.description + otherwise)}"
    console.print(words, highlight=False, soft_wrap=True)


def _run(console: Console, campaign: Campaign, part: Part, results: dict[str, Result], *, skip_missing: bool) -> None:
    """It and what is made of it; after an interrupt what is made of the runs that finished."""
    from harness.experiment.progress import progress
    from harness.experiment.runner import run_scenario
    from harness.results.result import load_result

    scenario = part.scenario
    try:
        with progress(console, scenario.name) as shown:
            result = run_scenario(
                scenario,
                part.folder,
                campaign.noting(shown),
                identity=campaign.identity,
                resume=campaign.resumed,
                skip_missing=skip_missing,
            )
    except KeyboardInterrupt:
        if campaign.has_runs(part):
            results[scenario.name] = _shown(console, load_result(part.result), part.folder)
        raise
    results[scenario.name] = _shown(console, result, part.folder)


def _shown(console: Console, result: Result, folder: Path) -> Result:
    """It, once all that is made of it alone is there."""
    from harness.console import plain
    from harness.experiment.pyperf_export import write_pyperf
    from reports.run.page import write_report
    from reports.terminal.summary import print_summary

    print_summary(console, result)
    write_pyperf(result, folder)
    write_report(result, folder / "report.html")
    tell_undrawn()
    saved = f"result: {plain(folder / 'result.json')}\nreport: {plain(folder / 'report.html')}\n"
    console.print(saved, soft_wrap=True, highlight=False)
    return result


def _pages(campaign: Campaign) -> dict[Path, list[Path]]:
    """What is made of it, and of which results each: of those parts that have runs, and of all together."""
    from harness.results.result import load_result

    pages: dict[Path, list[Path]] = {}
    used = [part for part in campaign.parts if campaign.has_runs(part)]
    for part in used:
        completed = [run for run in load_result(part.result).runs if run.status == "completed" and run.attempt is None]
        names = ["pyperf.json"] * any(not run.warmup for run in completed) + ["report.html"]
        pages |= {part.folder / name: [part.result] for name in names}
    together = {campaign.folder / "index.html": [part.result for part in used]} if len(campaign.parts) > 1 else {}
    return pages | together


def _write_index(console: Console, campaign: Campaign, results: dict[str, Result]) -> None:
    from harness.console import plain
    from reports.site.page import write_index

    write_index(results, campaign.folder)
    tell_undrawn()
    console.print(f"index: {plain(campaign.folder / 'index.html')}", soft_wrap=True, highlight=False)
