"""``pageferry fleet``: many scenarios, each on its pair, and one site of all results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import DURATION, complete_scenarios, experiment_options, tell_undrawn
from harness.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from distributed import Client
    from rich.console import Console

    from harness.experiment.campaign import Campaign
    from harness.experiment.events import Event
    from harness.fleet.cells import Begun, Cell, Ended
    from harness.scenario.inventory import Pair

_EPILOG = """\b
Examples:
  pageferry fleet throttled unlimited native --out out/lab
  pageferry fleet convergence --set repeats=10 --tag nightly
  pageferry fleet convergence --resume
  pageferry fleet throttled unlimited --hosts hosts.toml
  pageferry fleet throttled --hosts hosts.toml --pair rack-1 --pair rack-2 --scheduler tcp://lab-head:8786

\b
A cell is a SCENARIO, or one combination of its [sweep], on one pair of hosts, and is run whole as `pageferry run` does
it. The folder is as that of `pageferry run`, with a site of all results in it: OUT/latest/site/index.html.
A worker that dies costs the run in progress: another goes on. Interrupted (Ctrl-C), it keeps all runs that
finished, and --resume goes on with the rest.
It needs dask.distributed: pip install "pageferry[fleet]".
Exit status 0: every run completed and verified, or was skipped with its reason. 1: some was not, or is missing.
"""


@click.command(epilog=_EPILOG, short_help="Run many scenarios, and gather their results into one site.")
@click.argument("scenarios", nargs=-1, required=True, metavar="SCENARIO...", shell_complete=complete_scenarios)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/fleet"),
    show_default=True,
    metavar="OUT",
    help="Folder for the fleets' folders.",
)
@click.option(
    "--hosts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run every scenario on every pair of hosts of this file; see docs/hosts.md [on this machine].",
)
@click.option(
    "--pair", "names", multiple=True, metavar="NAME", help="Only on this pair (of hosts.toml without --hosts)."
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Use dask's scheduler there, and its workers, and start none here."
)
@click.option(
    "--worker-timeout", type=DURATION, default=300.0, metavar="DURATION",
    help="With --scheduler: how long a pair that has cells to run may have no worker there [5min].",
)  # fmt: skip
@experiment_options
def command(
    *,
    scenarios: tuple[str, ...],
    out: Path,
    hosts: Path | None,
    names: tuple[str, ...],
    scheduler: str | None,
    worker_timeout: float,
    overrides: tuple[str, ...],
    only: tuple[str, ...],
    tags: tuple[str, ...],
    resume: bool,
) -> None:
    """Run each SCENARIO (a shipped one by name, or a TOML file) as a cell of a fleet, and write a site of all results."""
    from harness.commands.interrupted import telling_campaign
    from harness.commands.run import campaign_of
    from harness.console import make_console
    from harness.experiment.campaign import opened
    from harness.scenario.sweep import load_sweep

    _check_extra()
    from harness.fleet.cells import Cell, spread

    pairs = _pairs(hosts, names)
    if scheduler is not None and not pairs:
        raise click.UsageError("--scheduler needs pairs of hosts: add --hosts FILE", click.get_current_context())
    loaded = [cell for name in scenarios for cell in load_sweep(name, overrides, only)]
    matrix = spread(loaded, pairs)
    campaign = campaign_of([(folder, scenario) for folder, scenario, _ in matrix], out, tags, resume)
    console = make_console()
    cells = [Cell(part, pair) for part, (*_, pair) in zip(campaign.parts, matrix, strict=True)]
    site = {campaign.folder / "site" / "index.html": [part.result for part in campaign.parts]}
    with telling_campaign(campaign, lambda: site), opened(campaign):
        missing = _run(console, campaign, cells, pairs, scheduler, worker_timeout_s=worker_timeout)
        wrong = _gather(console, campaign)
    if missing:
        tell(
            f"pageferry: {missing} of {len(cells)} cells are not whole, as said above; the same command with --resume goes on"
        )
    if missing or wrong:
        click.get_current_context().exit(1)


def _check_extra() -> None:
    from importlib.util import find_spec

    from backends.library import pip_install
    from harness.errors import MissingError

    if find_spec("distributed") is None:
        raise MissingError(f"fleet: dask.distributed is not installed: {pip_install('fleet')}")


def _pairs(hosts: Path | None, names: Sequence[str]) -> dict[str, Pair]:
    """All of the file, or those asked for; none: this machine. :raises ScenarioError: there is no such file or pair."""
    from harness.scenario.inventory import HOSTS_FILE, load_pair, load_pairs

    if names:
        return {name: load_pair(name, hosts or HOSTS_FILE) for name in names}
    return load_pairs(hosts) if hosts is not None else {}


def _cluster(pairs: dict[str, Pair], scheduler: str | None) -> AbstractContextManager[tuple[Client, str]]:
    from harness.fleet.cells import THIS_MACHINE, apart
    from harness.fleet.cluster import joined_cluster, own_cluster

    if scheduler is not None:
        return joined_cluster(scheduler)
    return own_cluster(apart(pairs) or [[THIS_MACHINE]])


def _run(
    console: Console,
    campaign: Campaign,
    cells: Sequence[Cell],
    pairs: dict[str, Pair],
    scheduler: str | None,
    *,
    worker_timeout_s: float,
) -> int:
    """What has not been run. Gives how many cells are not whole."""
    from harness.console import plain
    from harness.fleet.board import fleet_progress
    from harness.fleet.cells import Begun, Ended
    from harness.fleet.fleet import run_cells
    from harness.fleet.waiting import Watch

    left = [cell for cell in cells if not cell.is_whole()]
    if len(left) < len(cells):
        console.print(f"{len(cells) - len(left)} of {len(cells)} cells are whole, and are not run again")
    if not left:
        return 0
    problems: list[str] = []
    used = {name: pair for name, pair in pairs.items() if any(cell.pair == name for cell in left)}
    console.print(f"{_counted(len(left), 'cell')} to run {plain(_where(used))}", soft_wrap=True)
    with (
        _cluster(used, scheduler) as (client, dashboard),
        fleet_progress(console, len(left)) as show,
    ):
        console.print(f"dashboard: {plain(dashboard)}", soft_wrap=True)
        noting = campaign.noting(lambda _: None)

        def on_event(cell: Cell, event: Event | Begun | Ended) -> None:
            if isinstance(event, Ended):
                problems.extend([event.problem] if event.problem else [])
            elif not isinstance(event, Begun):
                noting(event)
            show(cell, event)

        def say(words: str) -> None:
            console.print(f"workers: {plain(words)}", soft_wrap=True)

        watch = Watch(client, scheduler, worker_timeout_s, say) if scheduler is not None else None
        run_cells(client, left, campaign.identity, on_event, watch.look if watch else lambda _: None)
    return len(problems)


def _where(pairs: Collection[str]) -> str:
    return f"on {_counted(len(pairs), 'pair')}: {', '.join(pairs)}" if pairs else "on this machine, one after another"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _gather(console: Console, campaign: Campaign) -> bool:
    """All results into one site. Gives whether any run went wrong."""
    from harness.console import plain
    from harness.experiment.campaign import went_wrong
    from harness.hosts.limits import cores
    from harness.results.result import load_result
    from reports.site.page import write_site

    files = [part.result for part in campaign.parts if part.result.is_file()]
    if not files:
        return False
    site = campaign.folder / "site"
    tell_undrawn(write_site(files, site, cores()).undrawn)
    console.print(f"results: {plain(campaign.folder)}\nsite: {plain(site / 'index.html')}", soft_wrap=True)
    return any(went_wrong(load_result(file)) for file in files)
