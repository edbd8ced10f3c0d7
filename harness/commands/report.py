"""``pageferry report``: pages from saved results alone."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]

_EPILOG = """\b
Examples:
  pageferry report out/throttled --out out/page
  pageferry report out/bench/* --out out/bench/site
"""


@click.command(epilog=_EPILOG, short_help="Write pages from saved results.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the pages.")
def command(*, folders: tuple[Path, ...], out: Path) -> None:
    """Write one report for each result in DIR... (a folder with result.json, or the file) and an index page over them all."""
    from harness.result import load_result
    from reports.site import write_site

    results = [(folder.parent.name if folder.is_file() else folder.name, load_result(folder)) for folder in folders]
    write_site(results, out)
    click.echo(f"index: {out / 'index.html'}")
