"""``pageferry send``: the source's half of the pair, alone, for any QEMU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.commands.options import (
    DURATION,
    SIZE,
    access_of,
    announce,
    check_writable,
    parse_options,
    socket_options,
    write_statistics,
)

__all__ = ["command"]

_EPILOG = """\b
Example (here through an ssh tunnel to the other host, on which `pageferry receive` listens at port 4444):
  pageferry send --from unix:/run/pf-src.sock --to tcp:127.0.0.1:4444 --backend zstd
and, once it says "ready", in the source QEMU's monitor, with the capability return-path on in both QEMUs:
  migrate -d unix:/run/pf-src.sock

\b
Addresses are unix:PATH or tcp:HOST:PORT (tcp:[::1]:4444, tcp:[fe80::1%eth0]:4444). Our own socket file is for the user who runs
this; where QEMU is another one (libvirt):
  pageferry send --from unix:/run/pf-src.sock --socket-owner libvirt-qemu ...

\b
So that QEMU stops its guest when what is left and what is still under way fit into the downtime (a QMP socket of its own):
  pageferry send --from unix:/run/pf-src.sock --to tcp:127.0.0.1:4444 --backend zstd \\
      --qmp unix:/run/qmp2.sock --downtime 300ms

QEMU may come at any time from the start, and is waited for without limit. If anything fails the migration fails in QEMU too, and
the source guest runs on. For that both QEMUs need the capability return-path (migrate_set_capability return-path on): with it the
source waits until the destination says that it has all of the guest; without it "completed" only means that the last byte left, and
a guest that then does not arrive runs nowhere. multifd and postcopy-preempt need several connections, and are refused.

Exit status 7: the migration succeeded, and only its statistics could not be written.
"""

_UNCONFIRMED = (
    "--without-return-path: if this migration has none, QEMU calls it completed before its destination runs; "
    "should that fail, neither guest runs"
)


@click.command(epilog=_EPILOG, short_help="Compress one migration, beside the source QEMU.")
@click.option("--from", "source", required=True, metavar="ADDRESS", help="Listen here for the source QEMU's migrate.")
@click.option("--to", "target", required=True, metavar="ADDRESS", help="Where `pageferry receive` listens.")
@click.option("--wait", type=DURATION, default="60s", help="Look so long for `pageferry receive` [60s].")
@socket_options
@click.option("--backend", required=True, metavar="NAME", help="See `pageferry list backends`; or auto, which chooses.")
@click.option("--level", type=int, help="Compression level [the backend's default].")
@click.option(
    "--threads", type=click.IntRange(1, 256), metavar="N", help="Compression threads [cores; one more at a device]."
)
@click.option("--decompress-threads", type=click.IntRange(1, 256), metavar="N", help="Ask the receiver for so many.")
@click.option("--batch", type=SIZE, help="Bytes of pages compressed at once, such as 256KiB [the backend's choice].")
@click.option("--inflight", type=SIZE, help="Most bytes under way, such as 4MiB [from the link's measured rate].")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the backend's own.")
@click.option("--fallback", metavar="NAME[:LEVEL]", help="What compresses when a device fails, or never [isal:1].")
@click.option("--qmp", metavar="unix:PATH", help="A QMP socket of the source QEMU, to steer when it stops its guest.")
@click.option("--downtime", type=DURATION, help="Wanted downtime, such as 300ms; needs --qmp [QEMU's downtime-limit].")
@click.option("--stats", type=click.Path(path_type=Path), metavar="FILE", help="Write statistics there as JSON.")
@click.option("--insecure", is_flag=True, help="Allow unencrypted memory beyond this machine.")
@click.option(
    "--without-return-path",
    is_flag=True,
    help="Carry a migration too whose arrival no destination confirms; see below.",
)
def command(
    *,
    source: str,
    target: str,
    wait: float,
    socket_mode: int | None,
    socket_owner: str | None,
    socket_group: str | None,
    backend: str,
    level: int | None,
    threads: int | None,
    decompress_threads: int | None,
    batch: int | None,
    inflight: int | None,
    options: tuple[str, ...],
    fallback: str | None,
    qmp: str | None,
    downtime: float | None,
    stats: Path | None,
    insecure: bool,
    without_return_path: bool,
) -> None:
    """Take one migration from the source QEMU, compress it, and carry it to `pageferry receive`."""
    from harness.migrator.sender import SendConfig, run_sender

    check_writable(stats)
    config = SendConfig(
        source=source,
        target=target,
        backend=backend,
        level=level,
        threads=threads,
        decompress_threads=decompress_threads,
        batch_bytes=batch,
        inflight_bytes=inflight,
        options=parse_options(options),
        fallback=fallback,
        insecure=insecure,
        qmp=qmp,
        downtime_s=downtime,
        without_return_path=without_return_path,
        wait_s=wait,
        access=access_of(socket_mode, socket_owner, socket_group),
    )

    def say(line: str) -> None:
        announce(line)
        if without_return_path and line.startswith("ready:"):
            announce(f"warning: {_UNCONFIRMED}")

    statistics = run_sender(config, say)
    _tell(statistics)
    write_statistics(statistics, stats)


def _tell(statistics: Mapping[str, Any]) -> None:
    from harness.experiment.halves import pair_doubts
    from harness.migrator.outcome import Outcome
    from harness.units import format_bytes, format_duration

    stream_bytes, sent_bytes = statistics["stream_bytes"], statistics["sent_bytes"]
    for doubt in pair_doubts({"sender": statistics}):
        announce(f"warning: {doubt}")
    announce(
        f"done: {format_bytes(stream_bytes)} of stream sent as {format_bytes(sent_bytes)} "
        f"(ratio {stream_bytes / sent_bytes:.2f}) in {format_duration(statistics['elapsed_s'])}; "
        f"{Outcome(statistics['outcome'])}; every batch arrived as it was (XXH3 of their XXH3: {statistics['batches_digest']})"
    )
    if policy := statistics.get("policy"):
        shares = sorted(policy["shares"].items(), key=lambda item: -item[1])
        chosen = ", ".join(f"{name} {share * 100:.0f} %" for name, share in shares)
        announce(f"auto chose, by share of the stream: {chosen}; {len(policy['decisions']) - 1} changes")
    if steering := statistics.get("steering"):
        announce(
            f"steered to {format_duration(steering['wanted_downtime_s'])} by {steering['parameter']}: "
            f"{steering['steer_changes']} changes, QEMU's own value {'given back' if steering['restored'] else 'not given back'}"
        )
