"""A QMP socket that a user named: connected, or a line that says what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.errors import PeerError, QemuError, UserError
from harness.migrator.transport.registry import endpoint_for_qemu

if TYPE_CHECKING:
    from harness.qemu.qmp import Qmp

GREETING_TIMEOUT_S = 5.0


def check_monitor(address: str) -> None:
    """:raises UserError: it is no unix socket."""
    if not address.startswith("unix:"):
        raise UserError(f"--qmp {address}: write unix:PATH; over TCP anybody could command that QEMU")


def open_monitor(address: str, side: Literal["source", "destination"]) -> Qmp:
    """:raises QemuError: not QMP, or not to be had. :raises UserError: no unix socket. :raises MissingError: none there."""
    from harness.qemu.qmp import Qmp  # noqa: PLC0415 - it brings asyncio and TLS with it

    check_monitor(address)
    remedy = f"give the socket of the {side} QEMU's -qmp unix:PATH,server=on,wait=off"
    qmp = Qmp(f"--qmp {address}")
    try:
        qmp.greet(endpoint_for_qemu(address, "--qmp").connect(remedy, GREETING_TIMEOUT_S), GREETING_TIMEOUT_S)
    except PeerError as exc:
        raise QemuError(str(exc)) from exc
    except QemuError as exc:
        if isinstance(exc.__cause__, TimeoutError):
            raise QemuError(
                f"--qmp {address}: no greeting within {GREETING_TIMEOUT_S:g} s: a QMP socket serves one client at a time, and "
                "another (libvirt, a shell) seems to hold this one; give QEMU a second -qmp socket"
            ) from exc
        raise QemuError(f"--qmp {address}: what answers there is not QMP; {remedy}") from exc
    return qmp
