"""``pageferry doctor``: what this machine can do, what spoils its figures, and how to fix that."""

from __future__ import annotations

import click

from harness.errors import MissingError

__all__ = ["command"]

_MARKS = {"ok": "[green]ok     [/]", "warn": "[yellow]warning[/]", "missing": "[red]missing[/]"}

_EPILOG = """\b
Examples:
  pageferry doctor
  pageferry doctor --json

Exit status 0, whatever is missing, as long as something can run; 3 if nothing can.
"""


@click.command(epilog=_EPILOG, short_help="Say what this machine can do, and how to get what it cannot.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks and the environment as JSON.")
def command(*, as_json: bool) -> None:
    """Look at KVM, QEMU, root and namespaces, codecs, OpenCL devices, clock, load and memory; say what each means for results."""
    from harness.doctor.checks import doctor, nothing_runs

    checks = doctor()
    if as_json:
        import dataclasses
        import json

        from harness.experiment.environment import collect

        document = {"checks": [dataclasses.asdict(check) for check in checks], "environment": collect()}
        click.echo(json.dumps(document, indent=1))
    else:
        from harness.console import make_console, plain

        console = make_console()
        for check in checks:
            console.print(f"{_MARKS[check.status]} [bold]{check.title}[/]: {plain(check.found)}", soft_wrap=True)
            console.print(f"        {plain(check.means)}", soft_wrap=True)
            if check.fix:
                console.print(f"        [bold]fix:[/] {plain(check.fix)}", soft_wrap=True)
    if nothing_runs(checks):
        raise MissingError("nothing can run on this machine: install what is missing above")
