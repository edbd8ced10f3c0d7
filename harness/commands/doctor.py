"""``pageferry doctor``: what this machine, or a pair of hosts, can do, what spoils its figures, and how to fix that."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import pair_options
from harness.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from harness.doctor.check import Check

_MARKS = {"ok": "[green]ok     [/]", "warn": "[yellow]warning[/]", "missing": "[red]missing[/]"}

_EPILOG = """\b
Examples:
  pageferry doctor
  pageferry doctor --json
  pageferry doctor --pair lab --hosts hosts.toml

With --pair both hosts look at themselves, and at the network between: clocks, processors, memory, MTU, what one
TCP connection carries, cards.
Exit status 0, whatever is missing, as long as something can run; 3 if nothing can.
"""


@click.command(epilog=_EPILOG, short_help="Say what this machine can do, and how to get what it cannot.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks and the environment as JSON.")
@pair_options
def command(*, as_json: bool, pair: str | None, hosts: Path) -> None:
    """Look at KVM, QEMU, root and namespaces, codecs, OpenCL devices, clock, load and memory; say what each means for results."""
    from harness.doctor.checks import doctor, nothing_runs

    if pair is not None:
        _look_at_pair(pair, hosts, as_json)
        return
    checks = doctor()
    if as_json:
        from harness.experiment.environment import collect

        _print_json({"checks": [dataclasses.asdict(check) for check in checks], "environment": collect()})
    else:
        from harness.console import make_console

        _print(make_console(), checks)
    if nothing_runs(checks):
        raise MissingError("nothing can run on this machine: install what is missing above")


def _look_at_pair(name: str, hosts: Path, as_json: bool) -> None:
    from harness.console import make_console, plain
    from harness.doctor.checks import nothing_runs
    from harness.doctor.pair import doctor_pair
    from harness.links.pair import Reached
    from harness.scenario.inventory import load_pair

    pair = load_pair(name, hosts)
    with contextlib.closing(Reached(pair)) as reached:
        reached.hold("pageferry doctor")
        each, both = doctor_pair(reached, pair, name)
    parts = {f"{pair.source} (source)": each[0], f"{pair.destination} (destination)": each[1], f"pair {name}": both}
    if as_json:
        _print_json({part: [dataclasses.asdict(check) for check in checks] for part, checks in parts.items()})
    else:
        console = make_console()
        for part, checks in parts.items():
            console.rule(plain(part), align="left")
            _print(console, checks)
    if any(nothing_runs(checks) for checks in each) or any(check.status == "missing" for check in both):
        raise MissingError(f"nothing can run between the hosts of {name}: see what is missing above")


def _print(console: Console, checks: Iterable[Check]) -> None:
    from harness.console import plain

    for check in checks:
        console.print(f"{_MARKS[check.status]} [bold]{check.title}[/]: {plain(check.found)}", soft_wrap=True)
        console.print(f"        {plain(check.means)}", soft_wrap=True)
        if check.fix:
            console.print(f"        [bold]fix:[/] {plain(check.fix)}", soft_wrap=True)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=1))
