"""What each half is told: every setting once, with its flag, its bounds and its help. The command line and documents fill these.

A document is JSON with the fields' names as keys (``harness.migrator.document``); numbers are in the unit that the name says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from harness.errors import UserError
from harness.migrator.transport.contract import Access, Tls

__all__ = [
    "LEAST_BATCH_BYTES",
    "MOST_BATCH_BYTES",
    "LinkSettings",
    "ReceiveConfig",
    "SendConfig",
    "Setting",
    "SocketSettings",
]

_MOST_THREADS = 256
_MOST_CHANNELS = 256
_SHORTEST_S = 1e-6
LEAST_BATCH_BYTES, MOST_BATCH_BYTES = 16 << 10, 4 << 20
"""The most is ``backends.api.MAX_BATCH_BYTES``, written again so that ``--help`` need not import the backends."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Of one field. ``low`` and ``high`` bound a number, bounds included; a text must match ``pattern``, which is ``words``."""

    flag: str
    help: str
    metavar: str | None = None
    low: float | None = None
    high: float | None = None
    pattern: str | None = None
    words: str = ""

    def wrong(self, value: object) -> str | None:
        """What to write instead; None: it is right."""
        if isinstance(value, str):
            return f"write {self.words}" if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII) else None
        if not isinstance(value, int | float):
            return None
        if (self.low is None or value >= self.low) and (self.high is None or value <= self.high):
            return None
        return f"must be at least {self.low}" if self.high is None else f"must be from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSettings:
    """Who may connect to a socket file of ours."""

    socket_mode: Annotated[
        str | None,
        Setting(
            "--socket-mode",
            "Mode of the unix sockets that this makes, as for chmod [0600].",
            "MODE",
            pattern="0?[0-7]{3}",
            words="a mode as chmod does, such as 0660",
        ),
    ] = None
    socket_owner: Annotated[
        str | None,
        Setting("--socket-owner", "User who owns them, such as the one that QEMU runs as [you].", "USER"),
    ] = None
    socket_group: Annotated[str | None, Setting("--socket-group", "Group that owns them [yours].", "GROUP")] = None

    @property
    def access(self) -> Access | None:
        """None: nothing was asked for."""
        if (self.socket_mode, self.socket_owner, self.socket_group) == (None, None, None):
            return None
        return Access(int(self.socket_mode or "600", 8), self.socket_owner, self.socket_group)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings(SocketSettings):
    """Who may read what crosses the link, and who may be at its other end."""

    tls: Annotated[
        str | None,
        Setting("--tls", "Encrypt the link, with the certificates in this folder; see below.", "DIR"),
    ] = None
    tls_peer: Annotated[
        str | None,
        Setting(
            "--tls-peer",
            "Name that the other half's certificate must have [see below].",
            "NAME",
            pattern="[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,252}",
            words="a host's name or address",
        ),
    ] = None
    token_file: Annotated[
        str | None,
        Setting("--token-file", "Take part only with who has the same token, which this file holds.", "FILE"),
    ] = None
    insecure: Annotated[bool, Setting("--insecure", "Allow unencrypted memory beyond this machine.")] = False
    max_channels: Annotated[
        int,
        Setting(
            "--max-channels",
            "Most connections of one migration: the main one, and those of multifd and postcopy-preempt [17].",
            "N",
            1,
            _MOST_CHANNELS,
        ),
    ] = 17

    @property
    def token(self) -> Path | None:
        """Where it is."""
        return None if self.token_file is None else Path(self.token_file)

    @property
    def certificates(self) -> Tls | None:
        """None: the link is not to be encrypted. :raises UserError: a name to be checked, and nothing that has one."""
        if self.tls is not None:
            return Tls(Path(self.tls), self.tls_peer)
        if self.tls_peer is not None:
            raise UserError(
                f"--tls-peer {self.tls_peer}: only certificates have names; give --tls DIR too, or leave it out"
            )
        return None


@dataclass(frozen=True, slots=True)
class SendConfig(LinkSettings):
    """``source``: where the source QEMU connects, ``unix:PATH`` or ``tcp:HOST:PORT``. ``target``: any transport's address."""

    source: Annotated[str, Setting("--from", "Address to listen on for the source QEMU's migrate.", "ADDRESS")]
    target: Annotated[str, Setting("--to", "Where `pageferry receive` listens.", "ADDRESS")]
    backend: Annotated[str, Setting("--backend", "See `pageferry list backends`; or auto, which chooses.", "NAME")]
    level: Annotated[
        int | None,
        Setting(
            "--level",
            "Compression level: zlib 0 to 9, isal 0 to 3, zlib-ng 0 to 9, libdeflate 0 to 12, lz4 -64 to 12, zstd -50 to 22, "
            "zstd-long 1 to 12, qatzip 1 to 8 [1; lz4 0].",
            "LEVEL",
        ),
    ] = None
    threads: Annotated[
        int | None, Setting("--threads", "Compression threads [cores; one more at a device].", "N", 1, _MOST_THREADS)
    ] = None
    decompress_threads: Annotated[
        int | None,
        Setting("--decompress-threads", "Decompression threads at the receiver [by backend].", "N", 1, _MOST_THREADS),
    ] = None
    batch_bytes: Annotated[
        int | None,
        Setting(
            "--batch",
            "Bytes of pages compressed at once, 16KiB to 4MiB, such as 256KiB [the backend's choice].",
            low=LEAST_BATCH_BYTES,
            high=MOST_BATCH_BYTES,
        ),
    ] = None
    inflight_bytes: Annotated[
        int | None, Setting("--inflight", "Most bytes under way, such as 4MiB [from the link's measured rate].", low=1)
    ] = None
    options: Annotated[
        Mapping[str, bool | int | float | str],
        Setting("--option", "An option of the backend; VALUE as in TOML, or a bare word.", "NAME=VALUE"),
    ] = field(default_factory=dict)
    fallback: Annotated[
        str | None,
        Setting("--fallback", "Codec that takes over when a device fails, or never [isal:1].", "BACKEND[:LEVEL]"),
    ] = None
    qmp: Annotated[
        str | None,
        Setting("--qmp", "A QMP socket of the source QEMU, to steer when it stops its guest.", "unix:PATH"),
    ] = None
    downtime_s: Annotated[
        float | Literal["shortest"] | None,
        Setting(
            "--downtime",
            "Wanted downtime, such as 300ms, or shortest: as short as the guest allows; needs --qmp [QEMU's downtime-limit].",
            "DURATION|shortest",
            low=_SHORTEST_S,
        ),
    ] = None
    downtime_cost_share: Annotated[
        float,
        Setting(
            "--downtime-cost",
            "How much longer a migration may take for the shortest downtime [10%].",
            low=0.0,
            high=1.0,
        ),
    ] = 0.1
    wait_s: Annotated[
        float, Setting("--wait", "How long to try to reach `pageferry receive` [60s].", low=_SHORTEST_S)
    ] = 60.0
    without_return_path: Annotated[
        bool,
        Setting("--without-return-path", "Also carry a migration whose arrival no destination confirms; see below."),
    ] = False


@dataclass(frozen=True, slots=True)
class ReceiveConfig(LinkSettings):
    """``listen``: any transport's address. ``target``: the destination QEMU's, ``unix:PATH`` or ``tcp:HOST:PORT``."""

    listen: Annotated[str, Setting("--listen", "Address to listen on for `pageferry send`.", "ADDRESS")]
    target: Annotated[str, Setting("--to", "Where the destination QEMU's -incoming listens.", "ADDRESS")]
    threads: Annotated[
        int | None, Setting("--threads", "Decompression threads [as the sender asks].", "N", 1, _MOST_THREADS)
    ] = None
    timeout_s: Annotated[
        float | None,
        Setting("--timeout", "Give up when no sender came within this time, such as 60s [never].", low=_SHORTEST_S),
    ] = None
    qmp: Annotated[
        str | None,
        Setting(
            "--qmp", "A QMP socket of that QEMU, to let its guest run only once the source gave it up.", "unix:PATH"
        ),
    ] = None
    wait_s: Annotated[
        float,
        Setting("--wait", "How long to try to reach that QEMU once the first bytes are here [60s].", low=_SHORTEST_S),
    ] = 60.0
    linger_s: Annotated[
        float,
        Setting(
            "--linger", "How long to stay when the link broke, for a sender that asks whether the guest arrived [60s]."
        ),
    ] = 60.0
