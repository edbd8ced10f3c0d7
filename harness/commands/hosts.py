"""``pageferry hosts``: what the hosts of a file of hosts need before a run can go between them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from harness.hosts.prepare.prepare import Python

_EPILOG = """\b
Examples:
  pageferry hosts prepare host-a root@host-b
  pageferry hosts prepare --pair lab --hosts hosts.toml

\b
It fills ~/.local/share/pageferry of the user that ssh logs in as: a Python environment with this very pageferry and what
it needs, in the versions that are installed here. Runs find it there by themselves. The host needs Python 3.11 or newer; pip
and a network it does not need. Where its Python is another minor version than the one here, pip here fetches the
wheels for it. A host that has this pageferry is left as it is. QEMU is the host's own: see `pageferry doctor --pair NAME`.
Exit status 0: each host has it. 3: one lacks something, which is named. 5: one is not reached by ssh.
"""


@click.group(short_help="Prepare other hosts for runs between them.")
def command() -> None:
    """What other hosts need for --pair; docs/hosts.md shows all of it."""


@command.command(epilog=_EPILOG, short_help="Put this pageferry on other hosts, by ssh.")
@click.argument("hosts", nargs=-1, metavar="HOST...")
@click.option("--pair", metavar="NAME", help="Both hosts of this pair, too.")
@click.option(
    "--hosts", "file", type=click.Path(path_type=Path), default=Path("hosts.toml"), show_default=True, metavar="FILE",
    help="The file that has the pair.",
)  # fmt: skip
@click.option(
    "--ssh-config", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="A configuration for ssh beside your own (ssh -F) [with --pair, as the file of hosts says].",
)  # fmt: skip
def prepare(*, hosts: tuple[str, ...], pair: str | None, file: Path, ssh_config: Path | None) -> None:
    """Put this very pageferry on each HOST (as ssh takes it: user@host, or a name from ~/.ssh/config)."""
    import tempfile

    from harness.console import make_console
    from harness.scenario.inventory import load_pair

    if pair is not None:
        found = load_pair(pair, file)
        hosts, ssh_config = (*hosts, found.source, found.destination), ssh_config or found.ssh_config
    if not hosts:
        raise click.UsageError("Missing argument 'HOST...', or --pair NAME", click.get_current_context())
    console = make_console()
    with tempfile.TemporaryDirectory(prefix="pageferry-wheels-") as folder:
        wheels = _Wheels(console, Path(folder))
        for host in dict.fromkeys(hosts):
            _prepare(console, host, ssh_config, wheels.for_python)


class _Wheels:
    """Made once for each kind of Python."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console, self._folder = console, folder
        self._made: dict[tuple[str, str], list[Path]] = {}

    def for_python(self, python: Python) -> list[Path]:
        from harness.hosts.prepare.prepare import make_wheels
        from harness.units import format_bytes

        kind = (python.version, python.machine)
        if kind not in self._made:
            folder = self._folder / "-".join(kind)
            folder.mkdir()
            how = "packing what is installed here" if python.is_ours else "fetching what it needs by pip here"
            with _busy(self._console, f"{how}, for Python {python.version} on {python.machine}"):
                self._made[kind] = make_wheels(python, folder)
            size = format_bytes(sum(wheel.stat().st_size for wheel in self._made[kind]))
            self._console.print(f"packed: {len(self._made[kind])} wheels, {size}", soft_wrap=True)
        return self._made[kind]


def _prepare(
    console: Console, host: str, ssh_config: Path | None, wheels_for: Callable[[Python], Sequence[Path]]
) -> None:
    from harness.console import plain
    from harness.hosts.prepare.prepare import greeted, install, look

    with contextlib.suppress(MissingError):
        there = greeted(host, ssh_config)
        console.print(f"{plain(host)}: pageferry {there.version} ({there.code}) is there already", soft_wrap=True)
        return
    python = look(host, ssh_config)
    console.print(f"{plain(host)}: {plain(python.path)} is Python {python.version} on {python.machine}", soft_wrap=True)
    wheels = wheels_for(python)
    with _copying(console, host, wheels) as on_bytes:
        there = install(host, ssh_config, python, wheels, on_bytes)
    console.print(f"{plain(host)}: pageferry {there.version} ({there.code}) is there now", soft_wrap=True)


@contextlib.contextmanager
def _busy(console: Console, words: str) -> Iterator[None]:
    if not console.is_terminal:
        console.print(words, soft_wrap=True)
        yield
        return
    with console.status(words):
        yield


@contextlib.contextmanager
def _copying(console: Console, host: str, wheels: Sequence[Path]) -> Iterator[Callable[[int], object]]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    if not console.is_terminal:
        console.print(f"{host}: copying and installing", soft_wrap=True)
        yield lambda _: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"{host}: copying", total=sum(wheel.stat().st_size for wheel in wheels))

        def on_bytes(count: int) -> None:
            progress.advance(task, count)
            if progress.tasks[0].finished:
                progress.update(task, description=f"{host}: installing")

        yield on_bytes
