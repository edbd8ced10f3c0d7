"""``pageferry faults``: a fault at each phase of a migration, and an exit status that says whether anything was lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.terminal import tell

if TYPE_CHECKING:
    from rich.console import Console

    from harness.faults.runner import Plan
    from harness.results.faults import FaultMatrix

_EPILOG = """\b
Examples:
  pageferry faults --quick
  pageferry faults --only 'frames/*@device-state'
  pageferry faults --only 'frames/body-flipped@*' --rounds 20 --seed 7
  pageferry faults --resume --out out/faults

\b
A cell is RIG/FAULT@PHASE; --list shows them. After each fault the judge looks, without asking either side: does exactly one
guest run, is its memory right, how soon had both sides ended, is anything left over, and does a second migration succeed?
DIR gets faults.html, faults.json, and faults.xml (JUnit). Whatever a seed leaves to chance is the same with the same seed.
Exit status 0: all was as it must be. 1: some cell was not; the command that repeats it is shown.
"""


@click.command(epilog=_EPILOG, short_help="Do harm at each phase of a migration; is the guest still whole?")
@click.option("--quick", is_flag=True, help="A sample of each rig's cells, in 10 minutes at most.")
@click.option("--only", multiple=True, metavar="CELL", help="Only this cell, or those that this shell pattern names.")
@click.option("--seed", type=click.IntRange(0, 1 << 31), default=1, metavar="N", help="What chance depends on [1].")
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=1,
    metavar="N",
    help="Each cell N times, each with a seed of its own [1].",
)
@click.option(
    "--resume", is_flag=True, help="Keep all cells that DIR/faults.json has, if it is there, and run the others."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("out", "faults"), metavar="DIR",
    help="Folder for page and data [out/faults].",
)  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="List rigs, faults and phases.")
def command(
    *, quick: bool, only: tuple[str, ...], seed: int, rounds: int, resume: bool, out: Path, listed: bool
) -> None:
    """Do harm to migrations, one fault at one phase at a time, and judge what became of the guest."""
    from harness.commands.interrupted import telling_files
    from harness.console import make_console
    from harness.experiment.outputs import held
    from harness.faults.runner import plan_cells
    from harness.results.faults import load_faults

    console = make_console()
    if listed:
        _list(console)
        return
    plan = plan_cells(seed, only, rounds=rounds, quick=quick)
    file = out / "faults.json"
    if resume and not file.exists():
        tell(f"pageferry: {file}: nothing to go on with: a new matrix begins")
    remedy = "; the same command with --resume goes on"
    with telling_files(out, "faults.json", "faults.xml", "faults.html", remedy=remedy), held(out):
        matrix = _run(console, plan, seed, load_faults(file) if resume and file.exists() else None, file)
        _write(console, matrix, out)
    if any(cell.applied and not cell.ok for cell in matrix.cells):
        click.get_current_context().exit(1)


def _run(console: Console, plan: Plan, seed: int, earlier: FaultMatrix | None, file: Path) -> FaultMatrix:
    """Saved after each cell: whatever ends us, ``--resume`` goes on there."""
    from dataclasses import replace

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.console import plain, print_note
    from harness.experiment.environment import collect
    from harness.faults.runner import run_cells
    from harness.results.faults import save_faults

    for rig, why in plan.missing.items():
        print_note(console, f"{rig}: not run: {why}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    environment = collect()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=len(plan.cells))

        def on_cell(matrix: FaultMatrix, left: int) -> None:
            save_faults(replace(matrix, environment=environment), file)
            cell = matrix.cells[-1]
            shown.update(task, completed=len(plan.cells) - left, description=plain(cell.id))
            if cell.applied and not cell.ok:
                console.print(f"[red]{plain(cell.id)}[/]: {plain('; '.join(cell.wrong))}", soft_wrap=True)
            elif not console.is_terminal:  # on one, the bar shows it
                became = "ok" if cell.applied else "did not take place"
                done = f"[{len(plan.cells) - left}/{len(plan.cells)}] {cell.id}: {became}"
                console.print(plain(done), highlight=False, soft_wrap=True)

        return replace(run_cells(plan, seed, on_cell, earlier), environment=environment)


def _write(console: Console, matrix: FaultMatrix, out: Path) -> None:
    from harness.console import make_table, plain
    from harness.results.faults import save_faults
    from reports.faults.junit import write_junit
    from reports.faults.page import write_faults
    from reports.faults.view import faults_view

    save_faults(matrix, out / "faults.json")
    write_junit(matrix, out / "faults.xml")
    write_faults(matrix, out / "faults.html")
    view = faults_view(matrix)
    table = make_table(
        "by phase", "phase", "faults", "at the source", "at the destination", "lost", "slowest verdict", numbers=True
    )
    for rig, phase in dict.fromkeys((cell.rig, cell.phase) for cell in matrix.applied):
        here = [cell for cell in matrix.applied if (cell.rig, cell.phase) == (rig, phase)]
        at = [str(sum(cell.runs == where for cell in here)) for where in ("source", "destination")]
        lost, slowest_s = sum(cell.lost for cell in here), max(cell.verdict_s or 0.0 for cell in here)
        table.add_row(f"{plain(rig)}/{plain(phase)}", str(len(here)), *at, str(lost), f"{slowest_s:.2f} s")
    console.print(table)
    for cell in view.failures:
        console.print(
            f"[red]{plain(cell.id)}[/]: {plain(cell.wrong[0])}; again with: {plain(cell.command)}", soft_wrap=True
        )
    for sentence in view.sentences:
        console.print(plain(sentence), soft_wrap=True)
    console.print(f"page: {plain(out / 'faults.html')}", soft_wrap=True)


def _list(console: Console) -> None:
    from harness.console import make_table, plain
    from harness.faults.runner import RIGS

    for name in RIGS.names():
        rig = RIGS.load(name)
        for what, titles in (("fault", rig.faults()), ("phase", rig.phases())):
            table = make_table(f"{name}: {rig.title}", what, "what it means")
            for key, title in titles.items():
                table.add_row(plain(key), plain(title))
            console.print(table)
