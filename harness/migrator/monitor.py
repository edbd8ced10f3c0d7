"""A QMP socket that a user named: connected, or a line that says what is wrong with it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import PeerError, QemuError, UserError
from harness.migrator.transport.registry import endpoint_for_qemu
from harness.migrator.transport.sockets import listener_pid

if TYPE_CHECKING:
    from harness.qemu.qmp import Qmp

GREETING_TIMEOUT_S = 5.0


def check_monitor(address: str) -> None:
    """Before anything begins: it also loads what speaks QMP, for later there may be no memory for that and no file.

    :raises UserError: it is no unix socket.
    """
    import harness.qemu.qmp  # noqa: F401, PLC0415 - it brings asyncio and TLS with it

    if not address.startswith("unix:"):
        raise UserError(f"--qmp {address}: write unix:PATH; over TCP anybody could command that QEMU")


def open_monitor(address: str, side: Literal["source", "destination"]) -> Qmp:
    """:raises QemuError: not QMP, or not to be had. :raises UserError: no unix socket. :raises MissingError: none there."""
    from harness.qemu.qmp import Qmp  # noqa: PLC0415 - it brings asyncio and TLS with it

    check_monitor(address)
    remedy = f"give the socket of the {side} QEMU's -qmp unix:PATH,server=on,wait=off"
    qmp, pid = Qmp(f"--qmp {address}"), 0
    try:
        connection = endpoint_for_qemu(address, "--qmp").connect(remedy, GREETING_TIMEOUT_S)
        pid = listener_pid(connection)
        qmp.greet(connection, GREETING_TIMEOUT_S)
    except PeerError as exc:
        raise QemuError(str(exc)) from exc
    except QemuError as exc:
        if isinstance(exc.__cause__, TimeoutError):
            raise QemuError(
                f"--qmp {address}: no greeting within {GREETING_TIMEOUT_S:g} s: {_why_silent(pid, side)}"
            ) from exc
        raise QemuError(f"--qmp {address}: what answers there is not QMP; {remedy}") from exc
    return qmp


def _why_silent(pid: int, side: str) -> str:
    """What is the matter with a QEMU that takes a connection and says nothing, as far as the kernel tells."""
    if _is_stopped(pid):
        return f"the {side} QEMU (process {pid}) stands still, for somebody stopped it; let it go on (kill -CONT {pid})"
    return (
        f"either the {side} QEMU stands still, or another client (libvirt, a shell) holds this socket, which serves one at a "
        "time; look whether it answers elsewhere, and give it a second -qmp socket"
    )


def _is_stopped(pid: int) -> bool:
    """By a signal or a debugger (proc_pid_status(5))."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return "\nState:\tT" in status or "\nState:\tt" in status
    return False
