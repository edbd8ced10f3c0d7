"""``pageferry tls``: certificates for a lab, with which both halves of the pair know each other."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import announce

_EPILOG = """\b
Example, on the destination host, node2:
  pageferry tls init pki --host node2 --host 192.0.2.2
  pageferry receive --tls pki --listen tcp:node2:4444 --to unix:/run/pf-dst.sock
and, on the source host, to which ca-cert.pem, client-cert.pem and client-key.pem of that folder were copied (scp):
  pageferry send --tls pki --from unix:/run/pf-src.sock --to tcp:node2:4444 --backend zstd

\b
A certificate authority (CA) is whose signature both halves trust: here a key that this makes. The files have the names that QEMU
and libvirt use, so one folder serves all three. Keep ca-key.pem to yourself: who has it can make certificates for anybody. Where
your organisation has a CA of its own, use certificates of that one instead.
"""

_DAYS = 365


@click.group(short_help="Make certificates with which the halves know each other.")
def command() -> None:
    """Certificates for --tls of `pageferry send` and `pageferry receive`."""


@command.command(epilog=_EPILOG, short_help="Make a lab's CA and both halves' certificates.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Name or address of a host; may be given again.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=_DAYS, metavar="N", help=f"How many days they are valid [{_DAYS}]."
)
def init(folder: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make a lab's CA in DIR, and a server's and a client's certificate, each with all of the names."""
    from harness.migrator.transport.lab_ca import make_folder

    make_folder(folder, hosts, days)
    announce(f"{folder}: a CA, and certificates for {', '.join(hosts)}, valid for {days} days; only you may read them")
