"""``pageferry send``: the source's half of the pair, alone, for any QEMU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import announce, check_writable, write_statistics
from harness.commands.service import Manager, Say, keep_option, serve
from harness.commands.settings import configured, document_option, settings_of
from harness.migrator.config import SendConfig

if TYPE_CHECKING:
    from harness.commands.libvirt import Libvirt
    from harness.migrator.report import SenderReport

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
To another host, encrypted, with certificates by which both halves know each other (`pageferry tls init --help` makes some):
  pageferry send --tls pki --from unix:/run/pf-src.sock --to tcp:node2:4444 --backend zstd
DIR has ca-cert.pem, client-cert.pem and client-key.pem. The receiver's certificate must be for node2; or say --tls-peer NAME.

\b
So that QEMU stops its guest when what is left and what is still under way fit into the downtime (a QMP socket of its own), or for
as short a time as the guest's writes allow:
  pageferry send --from unix:/run/pf-src.sock --to tcp:127.0.0.1:4444 --backend zstd \\
      --qmp unix:/run/qmp2.sock --downtime 300ms
  pageferry send --from unix:/run/pf-src.sock --to tcp:127.0.0.1:4444 --backend zstd \\
      --qmp unix:/run/qmp2.sock --downtime shortest

QEMU may come at any time from the start, and is waited for without limit. If anything fails the migration fails in QEMU too, and
the source guest runs on. For that both QEMUs need the capability return-path (migrate_set_capability return-path on): with it the
source waits until the destination says that it has all of the guest; without it "completed" only means that the last byte left, and
a guest that then does not arrive runs nowhere. multifd and postcopy-preempt make several connections; each is carried over one of
its own to the receiver, and zstd-long takes its memory for each (window and more, at both ends): --option window=16MiB takes less.

\b
As a service of a host, for one migration after another (docs/libvirt.md has the systemd unit, which hears when this is ready):
  pageferry send --keep --from unix:/var/lib/libvirt/qemu/pageferry.sock --to tcp:127.0.0.1:4444 --backend zstd

\b
With libvirt's own figures of the migration of web1 (downtime, time, pages) in our last lines and in --stats, as `virsh` tells them:
  pageferry send --libvirt web1 --libvirt-uri qemu+ssh://node2/system --stats web1.json \\
      --from unix:/var/lib/libvirt/qemu/pageferry.sock --to tcp:127.0.0.1:4444 --backend zstd

\b
Settings may stand in a JSON document, with sizes in bytes and times in seconds. --config there.json, or - and standard input:
  {"source": "unix:/run/pf-src.sock", "target": "tcp:127.0.0.1:4444", "backend": "zstd-long", "level": 3, "threads": 2,
   "options": {"window": "64MiB"}, "batch_bytes": 1048576, "wait_s": 60, "without_return_path": false}

At its start this gives up what it does not need of your rights (files, ports, programs), and says so: "sandbox: ...". A backend
whose driver needs more: PAGEFERRY_SANDBOX=off in the environment (docs/security.md).
Exit status 7: the migration succeeded, and only its statistics could not be written.
"""

_UNCONFIRMED = (
    "--without-return-path: if this migration has none, QEMU calls it completed before its destination runs; "
    "should that fail, neither guest runs"
)


@click.command(epilog=_EPILOG, short_help="Compress one migration, beside the source QEMU.")
@settings_of(SendConfig)
@document_option
@click.option("--stats", type=click.Path(path_type=Path), metavar="FILE", help="Write statistics there as JSON.")
@click.option(
    "--libvirt",
    metavar="DOMAIN",
    help="Keep what `virsh domjobinfo` says of this migration beside our figures; see below.",
)
@click.option(
    "--libvirt-uri", metavar="URI",
    help="Whose libvirt to ask: the destination's, if the source's forgets the domain [virsh's default].",
)  # fmt: skip
@keep_option
def command(
    *,
    config: str | None,
    stats: Path | None,
    libvirt: str | None,
    libvirt_uri: str | None,
    keep: bool,
    **given: Any,  # noqa: ANN401 - checked in ``configured``
) -> None:
    """Take one migration from the source QEMU, compress it, and carry it to `pageferry receive`."""
    from harness.commands.libvirt import opened
    from harness.commands.rights import give_up_rights

    check_writable(stats)
    settings = configured(SendConfig, given, config)
    with Manager() as manager, opened(libvirt, libvirt_uri) as asked:
        give_up_rights(settings, stats)
        serve(manager, lambda say: _carry(settings, stats, asked, say), keep=keep)


def _carry(settings: SendConfig, stats: Path | None, asked: Libvirt | None, say: Say) -> None:
    from harness.commands.libvirt import sentence
    from harness.migrator.sender import run_sender

    def said(line: str) -> None:
        say(line)
        if settings.without_return_path and line.startswith("ready:"):
            announce(f"warning: {_UNCONFIRMED}")

    before = None if asked is None else asked.ask()
    report = run_sender(settings, said)
    _tell(report, say)
    if asked is not None and before is not None:
        report = replace(report, libvirt=asked.after(before))
        announce(f"{sentence(report)}")
    write_statistics(report, stats)


def _over(report: SenderReport) -> str:
    """The connections it came on, where there were several."""
    count = len(report.channels)
    return f" on {count} connections" if count > 1 else ""


def _tell(report: SenderReport, say: Say) -> None:
    from harness.migrator.document import to_document
    from harness.results.stops import stop_of
    from harness.units import format_bytes, format_duration

    for doubt in report.doubts():
        announce(f"warning: {doubt.sentence}")
    say(
        f"done: {format_bytes(report.stream_bytes)} of stream{_over(report)} sent as {format_bytes(report.sent_bytes)} "
        f"(ratio {report.stream_bytes / report.sent_bytes:.2f}) in {format_duration(report.elapsed_s)}; "
        f"{report.outcome}; every batch arrived as it was (XXH3 of their XXH3: {report.batches_digest})"
    )
    if (policy := report.policy) is not None:
        shares = sorted(policy.shares.items(), key=lambda item: -item[1])
        chosen = ", ".join(f"{name} {share * 100:.0f} %" for name, share in shares)
        cores = "have cores of their own" if policy.apart else "share their cores"
        changes = len(policy.decisions) - 1
        announce(f"auto chose, by share of the stream: {chosen}; {changes} changes; source and destination {cores}")
    if (steering := report.steering) is not None:
        wanted_s = steering.wanted_downtime_s
        announce(
            f"steered to {'the shortest downtime' if wanted_s is None else format_duration(wanted_s)} by {steering.parameter}: "
            f"{steering.steer_changes} changes, QEMU's own value {'given back' if steering.restored else 'not given back'}"
        )
        if (stop := stop_of([to_document(decision) for decision in steering.decisions[-1:]])) is not None:
            announce(f"told QEMU {stop.sentence(steering.claimed_downtime_s)}")
