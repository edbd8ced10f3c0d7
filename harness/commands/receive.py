"""``pageferry receive``: the destination's half of the pair, alone, for any QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.options import announce, check_writable, write_statistics
from harness.commands.service import Manager, Say, keep_option, serve
from harness.commands.settings import configured, document_option, settings_of
from harness.errors import UserError
from harness.migrator.config import ReceiveConfig

_EPILOG = """\b
Example, for a destination QEMU started with -incoming unix:/run/pf-dst.sock:
  pageferry receive --listen tcp:127.0.0.1:4444 --to unix:/run/pf-dst.sock

Addresses are unix:PATH or tcp:HOST:PORT (tcp:[::1]:4444, tcp:[fe80::1%eth0]:4444). The destination QEMU may be started later: it is
connected to when the migration's first bytes are here. If a sender leaves before that, this says so and waits for the next one.
A sender can make this process hold 16 GiB of codecs' history, and some 256 MiB besides.

\b
Reachable from other hosts, encrypted, with certificates by which both halves know each other (`pageferry tls init --help`):
  pageferry receive --tls pki --listen tcp:node2:4444 --to unix:/run/pf-dst.sock
DIR has ca-cert.pem, server-cert.pem and server-key.pem. Any client's certificate of that CA will do; or say --tls-peer NAME.

\b
So that not even a sender that is killed can leave two guests: QEMU does not let its guest run, this does (a QMP socket of its own),
once the source has given it up. Refused with postcopy-ram, where a guest has to run earlier (docs/faults.md):
  pageferry receive --listen tcp:127.0.0.1:4444 --to unix:/run/pf-dst.sock --qmp unix:/run/qmp2-dst.sock

\b
Settings may stand in a JSON document, with times in seconds. --config there.json, or - and standard input:
  {"listen": "tcp:127.0.0.1:4444", "target": "unix:/run/pf-dst.sock", "threads": 2, "timeout_s": 60}

\b
As a service of a host, for one migration after another (docs/libvirt.md has the systemd unit, which hears when this is ready):
  pageferry receive --keep --listen tcp:127.0.0.1:4444 --to unix:/var/lib/libvirt/qemu/pageferry.sock

Every batch is checked before QEMU sees it; a damaged one ends the migration and the destination guest never runs.
At its start this gives up what it does not need of your rights (files, ports, programs), and says so: "sandbox: ...". A backend
whose driver needs more: PAGEFERRY_SANDBOX=off in the environment (docs/security.md).
Exit status 7: the migration succeeded, and only its statistics could not be written.
"""


@click.command(epilog=_EPILOG, short_help="Decompress one migration, beside the destination QEMU.")
@settings_of(ReceiveConfig)
@document_option
@click.option("--stats", type=click.Path(path_type=Path), metavar="FILE", help="Write statistics there as JSON.")
@keep_option
def command(*, config: str | None, stats: Path | None, keep: bool, **given: Any) -> None:  # noqa: ANN401 - checked in ``configured``
    """Take one migration from `pageferry send`, decompress it, and hand it to the destination QEMU."""
    from harness.commands.rights import give_up_rights

    check_writable(stats)
    settings = configured(ReceiveConfig, given, config)
    if keep and settings.listen.endswith(":0"):
        raise UserError(f"--listen {settings.listen}: with --keep each migration would have another port; name one")
    with Manager() as manager:
        give_up_rights(settings, stats)
        serve(manager, lambda say: _carry(settings, stats, say), keep=keep)


def _carry(settings: ReceiveConfig, stats: Path | None, say: Say) -> None:
    from harness.migrator.receiver import run_receiver
    from harness.units import format_bytes

    report = run_receiver(settings, say)
    confirmed = "which confirmed that it has all" if report.confirmed else "and nothing confirms that it runs"
    if not report.sender_heard:
        announce("warning: the link broke before the sender could be told of the end")
    say(
        f"done: {format_bytes(report.stream_bytes)} of stream handed to the destination QEMU, {confirmed}; "
        f"every batch was as it was sent (XXH3 of their XXH3: {report.batches_digest})"
    )
    write_statistics(report, stats)
