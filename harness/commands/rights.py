"""What `send` and `receive` keep of a user's rights, said at their start. What they need follows from their settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import click

from backends import registry
from backends.api import BackendError
from backends.confinement import Needs, confine, device_caches
from harness.commands.options import announce
from harness.migrator.config import ReceiveConfig, SendConfig

_INTERNET = (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
"""Looking a name up asks the kernel (netlink) which of the two is there."""


def give_up_rights(config: SendConfig | ReceiveConfig, stats: Path | None) -> None:
    """All but what ``config`` needs, and say what stands and what does not. A process that does more than this command line (a
    program that calls ours) keeps its rights: they are not ours to give up."""
    if not getattr(click.get_current_context().obj, "owns_process", False):
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads that nothing here uses
    stands, missing = confine(needs_of(config, stats))
    announce(f"sandbox: {stands}")
    for lack in missing:
        announce(f"warning: sandbox: {lack}")


def needs_of(config: SendConfig | ReceiveConfig, stats: Path | None) -> Needs:
    """Of one half. Addresses that are wrong need nothing: whoever uses them says so."""
    listens, dials = _addresses(config)
    schemes = {address.partition(":")[0] for address in (*listens, *dials)}
    files = [config.token_file, config.tls]
    device = isinstance(config, SendConfig) and _has_device(config.backend)
    return Needs(
        reads=tuple(Path(file) for file in files if file is not None),
        writes=() if stats is None else (_written(stats),),
        sockets=tuple(Path(address.partition(":")[2]).parent for address in listens if address.startswith("unix:")),
        binds=tuple(_ports(listens)),
        connects=tuple(_ports(dials)),
        families=None if schemes - {"unix", "tcp"} else _INTERNET if "tcp" in schemes else (),
        device=device,
        caches=device_caches() if device else (),
    )


def _addresses(config: SendConfig | ReceiveConfig) -> tuple[list[str], list[str]]:
    """Those that are listened on, and those that are dialled."""
    if isinstance(config, ReceiveConfig):
        listens, dials = config.listen, config.target
    else:
        listens, dials = config.source, config.target
    return [listens], [dials, *([config.qmp] if config.qmp is not None else [])]


def _ports(addresses: list[str]) -> Iterator[int]:
    for address in addresses:
        port = address.rpartition(":")[2]
        if address.startswith("tcp:") and port.isdecimal() and int(port) < 1 << 16:
            yield int(port)


def _written(stats: Path) -> Path:
    """A file is replaced in its folder; a device or a pipe is written to as it is."""
    target = Path(os.path.realpath(stats))
    return target if target.exists() and not target.is_file() else target.parent


def _has_device(backend: str) -> bool:
    try:
        return registry.load(backend).info.device != "cpu"
    except BackendError:  # auto, which takes none, or a name that its user is told of
        return False
