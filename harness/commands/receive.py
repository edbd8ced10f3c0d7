"""``pageferry receive``: the destination's half of the pair, alone, for any QEMU."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import DURATION, access_of, announce, check_writable, socket_options, write_statistics

__all__ = ["command"]

_EPILOG = """\b
Example, for a destination QEMU started with -incoming unix:/run/pf-dst.sock:
  pageferry receive --listen tcp:127.0.0.1:4444 --to unix:/run/pf-dst.sock

Addresses are unix:PATH or tcp:HOST:PORT (tcp:[::1]:4444, tcp:[fe80::1%eth0]:4444). The destination QEMU may be started later: it is
connected to when the migration's first bytes are here. A sender that leaves before that is told of, and the next one is waited for.
A sender can make this process hold 16 GiB of codecs' history, and some 256 MiB besides.

Every batch is checked before QEMU sees it; a damaged one ends the migration and the destination guest never runs.
Exit status 7: the migration succeeded, and only its statistics could not be written.
"""


@click.command(epilog=_EPILOG, short_help="Decompress one migration, beside the destination QEMU.")
@click.option("--listen", required=True, metavar="ADDRESS", help="Wait here for `pageferry send`.")
@click.option(
    "--to", "target", required=True, metavar="ADDRESS", help="Where the destination QEMU's -incoming listens."
)
@click.option(
    "--wait", type=DURATION, default="60s", help="Look so long for that QEMU when the first bytes came [60s]."
)
@socket_options
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="Decompression threads [as the sender asks].")
@click.option("--stats", type=click.Path(path_type=Path), metavar="FILE", help="Write statistics there as JSON.")
@click.option("--timeout", type=DURATION, help="Give up when no sender came within this time, such as 60s [never].")
@click.option("--insecure", is_flag=True, help="Allow unencrypted memory beyond this machine.")
def command(
    *,
    listen: str,
    target: str,
    wait: float,
    socket_mode: int | None,
    socket_owner: str | None,
    socket_group: str | None,
    threads: int | None,
    stats: Path | None,
    timeout: float | None,
    insecure: bool,
) -> None:
    """Take one migration from `pageferry send`, decompress it, and hand it to the destination QEMU."""
    from harness.migrator.receiver import ReceiveConfig, run_receiver
    from harness.units import format_bytes

    check_writable(stats)
    config = ReceiveConfig(
        listen=listen,
        target=target,
        threads=threads,
        timeout_s=timeout,
        insecure=insecure,
        wait_s=wait,
        access=access_of(socket_mode, socket_owner, socket_group),
    )
    statistics = run_receiver(config, announce)
    confirmed = "which confirmed that it has all" if statistics["confirmed"] else "and nothing confirms that it runs"
    if not statistics["sender_heard"]:
        announce("warning: the link broke before the sender could be told of the end")
    announce(
        f"done: {format_bytes(statistics['stream_bytes'])} of stream handed to the destination QEMU, {confirmed}; "
        f"every batch was as it was sent (XXH3 of their XXH3: {statistics['batches_digest']})"
    )
    write_statistics(statistics, stats)
