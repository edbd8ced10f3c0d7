"""``pageferry report``: pages from saved results alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from harness.terminal import one_line

__all__ = ["command"]

_RESULT = "result.json"

_EPILOG = """\b
Examples:
  pageferry report out/throttled --out out/page
  pageferry report out/before out/after --out out/page
  pageferry report out/bench --out out/bench/site     (every result in a folder of out/bench)
"""


@click.command(epilog=_EPILOG, short_help="Write pages from saved results.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the pages.")
def command(*, folders: tuple[Path, ...], out: Path) -> None:
    """Write a report for each result and an index page over them all.

    DIR is a folder with a result.json, or a folder of such folders; the file itself will do as well.
    """
    from harness.results.result import load_result
    from reports.site.page import write_site

    files = [file for folder in folders for file in _result_files(folder)]
    results = [(file.absolute().parent.name, load_result(file)) for file in files]
    write_site(results, out)
    click.echo(one_line(f"index: {out / 'index.html'}"))


def _result_files(path: Path) -> Iterator[Path]:
    """What ``path`` stands for; a folder without any result gives the file that is missing, for the error to name."""
    if not path.is_dir() or (path / _RESULT).exists():
        yield path / _RESULT if path.is_dir() else path
        return
    within = sorted(path.glob(f"*/{_RESULT}"))
    yield from within or [path / _RESULT]
