"""``pageferry record``: one migration's stream into a file, to be replayed through any method without QEMU."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import DURATION, announce
from harness.commands.settings import settings_of
from harness.migrator.config import SocketSettings
from harness.terminal import one_line

__all__ = ["command"]

_EPILOG = """\b
Example:
  pageferry record --from unix:/run/pf-rec.sock --out guest.stream
and in the QEMU's monitor (capabilities return-path, multifd and postcopy-preempt off, for nobody answers):
  migrate -d unix:/run/pf-rec.sock
The guest is paused afterwards, as after every migration; `cont` lets it run on. To replay, in a scenario:
  [guest]
  kind = "stream"
  path = "guest.stream"
"""


@click.command(epilog=_EPILOG, short_help="Keep a migration's stream in a file, for replays.")
@click.option("--from", "source", required=True, metavar="ADDRESS", help="Address to listen on for QEMU's migrate.")
@settings_of(SocketSettings)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The file.")
@click.option("--timeout", type=DURATION, help="Give up when no QEMU came within this time, such as 60s [never].")
@click.option("--insecure", is_flag=True, help="Allow unencrypted memory beyond this machine.")
def command(
    *,
    source: str,
    out: Path,
    timeout: float | None,
    insecure: bool,
    **socket: str | None,
) -> None:
    """Take one migration from a QEMU and keep its stream in a file."""
    from harness.experiment.recorder import record_stream
    from harness.units import format_bytes

    access = SocketSettings(**socket).access
    found = record_stream(source, out, timeout_s=timeout, insecure=insecure, access=access, say=announce)
    if found.opaque_reason is not None:
        announce(f"warning: the stream is not one that we can parse ({found.opaque_reason}); it replays all the same")
    pages = f"{found.raw_pages} pages, {found.zero_pages} zero pages"
    click.echo(one_line(f"{out}: {format_bytes(found.stream_bytes)}, {pages}, XXH3 {found.stream_digest}"))
