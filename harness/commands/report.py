"""``pageferry report``: pages from saved results alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from harness.commands.options import tell_undrawn
from harness.terminal import one_line, tell

_RESULT = "result.json"
_EVERY_S = 10.0
"""Between two lines on how far it is, where there is no terminal."""

_EPILOG = """\b
Examples:
  pageferry report out/throttled --out out/page           (every run that out/throttled keeps)
  pageferry report out/throttled/latest --out out/page    (the newest alone)
  pageferry report out/before out/after --out out/page
  pageferry report out/bench --out out/bench/site
"""


@click.command(epilog=_EPILOG, short_help="Write pages from saved results.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="PAGES",
    help="Folder for the pages.",
)
def command(*, folders: tuple[Path, ...], out: Path) -> None:
    """Write a report for each result and an index page over them all.

    DIR is a folder with a result.json, or one that has such folders in it, however deep; the file itself will do as well.
    """
    from harness.console import make_console
    from harness.experiment.outputs import held
    from harness.hosts.limits import cores
    from harness.results.result import load_result
    from reports.site.page import write_site
    from reports.terminal.matrix import print_matrices

    files = [file for folder in folders for file in _result_files(folder, out)]
    with held(out), _progress() as seen:
        written = write_site(files, out, cores(), seen)
    print_matrices(make_console(), [load_result(file) for file in written.newest])
    tell_undrawn(written.undrawn)
    for problem in written.problems:
        tell(f"pageferry: {problem}")
    counts = f"{written.results} results, {written.built} of {written.pages} files built"
    click.echo(one_line(f"index: {out / 'index.html'} ({counts})"))
    if written.problems:
        click.get_current_context().exit(1)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """How far it is: in one line on a terminal, elsewhere in a line on stderr now and then."""
    from harness.console import make_console

    console, told_s = make_console(), time.monotonic()
    if console.is_terminal:
        with console.status("reading results") as status:
            yield lambda what, done, of: status.update(f"{done} of {of} {what}")
        return

    def seen(what: str, done: int, of: int) -> None:
        nonlocal told_s
        if time.monotonic() >= told_s + _EVERY_S:
            told_s = time.monotonic()
            tell(f"pageferry: {done} of {of} {what}")

    yield seen


def _result_files(path: Path, site: Path) -> Iterator[Path]:
    """What ``path`` stands for; a folder without any result gives the file that is missing, for the error to name."""
    if not path.is_dir() or (path / _RESULT).exists():
        yield path / _RESULT if path.is_dir() else path
        return
    within = sorted(Path(root, _RESULT) for root, _, files in _walk(path, site.resolve()) if _RESULT in files)
    yield from within or [path / _RESULT]


def _walk(path: Path, site: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``; neither into the site, which has copies of results, nor to what links lead to, such as ``latest``."""
    for root, folders, files in os.walk(path.resolve() if path.is_symlink() else path):
        folders[:] = [name for name in folders if Path(root, name).resolve() != site]
        yield root, folders, files
