"""``pageferry record``: one migration's stream into a file, to be replayed through any method without QEMU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import DURATION, announce, complete_scenarios
from harness.commands.settings import settings_of
from harness.migrator.config import SocketSettings
from harness.terminal import one_line
from harness.units import format_rate

if TYPE_CHECKING:
    from harness.experiment.recorder import Kept, Progress

_EPILOG = """\b
Examples, of a guest that a scenario describes:
  pageferry record throttled --out guest.pfs
  pageferry record throttled --set guest.memory=1GiB --set link.bandwidth=unlimited --out guest.pfs
  pageferry record throttled --set 'guest={kind="linux", workload="redis"}' --out redis.pfs
It is started, migrated into FILE as fast as the scenario's link, and ended. The slower the link, the more passes.

\b
Example, of your own guest, which is not ended:
  pageferry record --from unix:/run/pf-rec.sock --out guest.pfs
and in its QEMU's monitor (capabilities return-path, multifd and postcopy-preempt off, for nobody answers):
  migrate -d unix:/run/pf-rec.sock
The guest is paused afterwards, as after every migration; `cont` lets it run on. If recording fails, it runs on by itself.

\b
FILE holds the guest's memory: whoever can read it can read what was in there. `pageferry info FILE` shows what it is made of.
To replay it, in a scenario:
  [guest]
  kind = "stream"
  path = "guest.pfs"
"""


_MOST_TEXT_BYTES = 256 << 10


@click.command(epilog=_EPILOG, short_help="Keep a migration's stream in a file, for replays.")
@click.argument("scenario", required=False, shell_complete=complete_scenarios)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the scenario.")
@click.option("--from", "source", metavar="ADDRESS", help="Address to listen on for QEMU's migrate.")
@settings_of(SocketSettings)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The file.")
@click.option("--timeout", type=DURATION, help="Give up when no QEMU came within this time, such as 60s [never].")
@click.option("--insecure", is_flag=True, help="Allow unencrypted memory beyond this machine.")
@click.option(
    "--licences",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="LICENCES",
    help="Keep this text file in FILE: the licences of what is in the guest's memory.",
)
def command(
    *,
    scenario: str | None,
    overrides: tuple[str, ...],
    source: str | None,
    out: Path,
    timeout: float | None,
    insecure: bool,
    licences: Path | None,
    **socket: str | None,
) -> None:
    """Keep the stream of one migration in a file: of SCENARIO's guest, or of a QEMU that migrates to --from."""
    from harness.experiment.recorder import record_guest, record_stream
    from harness.scenario.model import load_scenario

    _check_fit(scenario, source, {"--set": overrides, "--timeout": timeout, "--insecure": insecure, **socket})
    text = _text_of(licences) if licences is not None else ""
    with _shown(out) as on_progress:
        if source is None:
            loaded = load_scenario(scenario or "", overrides)
            kept = record_guest(loaded, out, licences=text, say=announce, on_progress=on_progress)
        else:
            kept = record_stream(
                source,
                out,
                licences=text,
                timeout_s=timeout,
                insecure=insecure,
                access=SocketSettings(**socket).access,
                say=announce,
                on_progress=on_progress,
            )
    _tell(kept, out)


def _check_fit(scenario: str | None, source: str | None, given: dict[str, object]) -> None:
    """:raises click.UsageError: neither way to record was chosen, or an option is of the other."""
    if (scenario is None) == (source is None):
        raise click.UsageError("name either a SCENARIO, whose guest is started, or --from, to which a QEMU migrates")
    mine = ("--set",) if source is None else tuple(name for name in given if name != "--set")
    for name, value in given.items():
        if value and name not in mine:
            flag = name if name.startswith("--") else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag}: only with {'--from' if source is None else 'a SCENARIO'}")


def _text_of(path: Path) -> str:
    """:raises UserError: it cannot be read as text, or is long."""
    from harness.errors import UserError
    from harness.units import format_bytes

    try:
        with path.open("rb") as file:
            text = file.read(_MOST_TEXT_BYTES + 1)
        if len(text) > _MOST_TEXT_BYTES:
            raise UserError(f"--licences {path}: more than {format_bytes(_MOST_TEXT_BYTES)}: shorten it")
        return text.decode()
    except OSError as exc:
        raise UserError(f"--licences {path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise UserError(f"--licences {path}: not UTF-8 text at byte {exc.start}: save it as UTF-8") from exc


@contextlib.contextmanager
def _shown(out: Path) -> Iterator[Callable[[Progress], None]]:
    """A line that lives while the stream comes, where somebody looks at it."""
    from harness.console import make_console, plain
    from harness.units import format_bytes

    console = make_console()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(f"{plain(out)}: waiting for the migration") as status:

        def on_progress(now: Progress) -> None:
            rate = now.stream_bytes / max(now.elapsed_s, 1e-3)
            words = f"{format_bytes(now.stream_bytes)} of stream, pass {now.passes}, {format_rate(rate)}"
            status.update(f"{plain(out)}: {words}, {format_bytes(now.file_bytes)} kept")

        yield on_progress


def _tell(kept: Kept, out: Path) -> None:
    from harness.units import format_bytes

    facts = kept.facts
    if facts.opaque_reason is not None:
        announce(f"warning: the stream is not one that we can parse ({facts.opaque_reason}); it replays all the same")
    raw, zero, other = facts.pages
    pages = f"{raw} pages, {zero} zero pages" + (f", {other} packed by QEMU" if other else "")
    sizes = f"{format_bytes(kept.file_bytes)} of {format_bytes(facts.stream_bytes)} of stream"
    click.echo(one_line(f"{out}: {sizes}, {len(facts.passes)} passes, {pages}, XXH3 {facts.digest}"))
