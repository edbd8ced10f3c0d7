"""``pageferry run``: scenarios in, results, reports and a summary table out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from harness.results.result import Result
    from harness.scenario.model import Scenario

__all__ = ["command"]

_EPILOG = """\b
Examples:
  pageferry run throttled
  pageferry run throttled --set guest.memory=2GiB --set repeats=10 --out out/2g
  pageferry run unlimited throttled --only 'zstd-*' --out out/both
  pageferry run my/scenario.toml --set method.isal-1.threads=4
  pageferry run adaptive --set link.bandwidth=100Mbit/s
  pageferry run convergence --set link.bandwidth=1Gbit/s --only zstd-1

\b
One scenario fills DIR; several fill DIR/NAME each, and DIR/index.html leads to them. An earlier result
there is replaced as a whole once the first run has finished.
Exit status 0: every run completed and verified, or was skipped with its reason. 1: a run failed.
"""


@click.command(epilog=_EPILOG, short_help="Run scenarios, measure, and write their reports.")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for results [out/SCENARIO].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of the scenarios.")
@click.option(
    "--only", multiple=True, metavar="METHOD", help="Run only this method (or shell pattern) and the baseline."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted search for frontiers.")
def command(
    *, scenarios: tuple[str, ...], out: Path | None, overrides: tuple[str, ...], only: tuple[str, ...], resume: bool
) -> None:
    """Run each SCENARIO (a shipped one by name, or a TOML file), measure it, and write result.json, report.html and pyperf/."""
    from harness.console import make_console, plain
    from harness.scenario.sweep import load_sweep
    from reports.site.page import write_site
    from reports.terminal.regrets import print_regrets

    plan = _plan([cell for name in scenarios for cell in load_sweep(name, overrides, only)], out)
    console = make_console()
    index = plan[0][1].parent / "index.html"
    stale = [index] if len(plan) > 1 else []
    results = [_run(console, scenario, folder, stale, resume=resume) for scenario, folder in plan]
    print_regrets(console, results)
    if len(plan) > 1:
        write_site([(scenario.name, result) for (scenario, _), result in zip(plan, results, strict=True)], index.parent)
        console.print(f"index: {plain(index)}", soft_wrap=True, highlight=False)
    if any(_went_wrong(result) for result in results):
        click.get_current_context().exit(1)


def _plan(scenarios: list[Scenario], out: Path | None) -> list[tuple[Scenario, Path]]:
    """A folder for each scenario. :raises UserError: two scenarios of one name would share a folder."""
    from harness.errors import UserError

    names = [scenario.name for scenario in scenarios]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name}: two scenarios of one name would fill one folder; run them apart or rename a file")
    if len(scenarios) == 1 and out is not None:
        return [(scenarios[0], out)]
    base = out or Path("out")
    if out is None and len(scenarios) > 1 and all(scenario.cell for scenario in scenarios):
        base /= names[0].partition("+")[0]
    return [(scenario, base / scenario.name) for scenario in scenarios]


def _run(console: Console, scenario: Scenario, folder: Path, stale: list[Path], *, resume: bool) -> Result:
    from harness.console import plain
    from harness.errors import UserError
    from harness.experiment.outputs import dropping
    from harness.experiment.progress import progress
    from harness.experiment.pyperf_export import write_pyperf
    from harness.experiment.runner import run_scenario
    from harness.terminal import tell
    from reports.run.page import write_report
    from reports.terminal.summary import print_summary

    console.print(f"[bold]{plain(scenario.name)}[/]: {plain(scenario.description)}", highlight=False, soft_wrap=True)
    if resume and scenario.frontier is None:
        raise UserError(f"--resume: {scenario.name} searches for no frontier, and its repeats begin anew: leave it out")
    saved, report = folder / "result.json", folder / "report.html"
    before = saved.stat().st_ino if saved.exists() else None
    try:
        with progress(console, scenario.name) as shown:
            on_event = dropping(shown, *stale)
            result = run_scenario(scenario, folder, on_event, resume=resume)
    except KeyboardInterrupt:
        if saved.exists() and saved.stat().st_ino == before:
            tell(f"pageferry: no run had finished: {folder} is as it was")
        elif saved.exists():
            tell(f"pageferry: what finished is in {saved}; `pageferry report` makes its page")
        raise
    print_summary(console, result)
    write_pyperf(result, folder)
    write_report(result, report)
    console.print(f"result: {plain(saved)}\nreport: {plain(report)}\n", soft_wrap=True, highlight=False)
    return result


def _went_wrong(result: Result) -> bool:
    """A run that neither completed nor was skipped, or whose memory did not arrive. In a search a timeout is a finding."""
    return any(
        run.status == "failed" or (run.status == "timeout" and run.attempt is None) or run.verified is False
        for run in result.runs
    )
