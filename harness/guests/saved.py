"""A guest's state in a file: saved once from a guest that stands still, and begun from as often as it is asked for. Knows no kind.

It is a migration stream. It goes through unix sockets, so that QEMU may be on another host and the file is here.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from pathlib import Path

from harness.errors import QemuError
from harness.guests.native import UNLIMITED_BYTES_PER_S
from harness.qemu.process import QemuProcess, check_socket_path
from harness.qemu.progress import ENDED
from harness.qemu.qmp import Json
from harness.units import PAGE_BYTES

_PATIENCE_S = 120.0
_LOOK_S = 0.02
_PIECE_BYTES = 1 << 20
_DEVICES_BYTES = 16 << 20
_HEADER_BYTES = 16


def state_bytes(memory_bytes: int) -> int:
    """The most that the state of a guest of so much memory takes."""
    return memory_bytes + memory_bytes // PAGE_BYTES * _HEADER_BYTES + _DEVICES_BYTES


def save(qemu: QemuProcess, file: Path) -> None:
    """Stop its guest for good, and keep the state in ``file``. :raises QemuError: QEMU does not give it, or not in time."""
    address = check_socket_path(qemu.folder / f"{qemu.name}.saved")
    asked: dict[str, Json] = {"max-bandwidth": UNLIMITED_BYTES_PER_S}
    qemu.qmp.execute("stop")
    qemu.qmp.execute("migrate-set-parameters", **asked)
    with qemu.host.listener(address) as listener:
        listener.settimeout(_PATIENCE_S)
        qemu.qmp.execute("migrate", uri=f"unix:{address}")
        try:
            with listener.accept()[0] as stream, stream.makefile("rb") as state, file.open("wb") as kept:
                stream.settimeout(_PATIENCE_S)
                shutil.copyfileobj(state, kept, _PIECE_BYTES)
        except OSError as exc:
            raise QemuError(f"{qemu.name}: the guest's state cannot be saved: {exc.strerror or exc}") from exc
    _wait_completed(qemu)


def load(qemu: QemuProcess, file: Path) -> None:
    """Give the state to a QEMU that was started with ``-incoming defer -S``; its guest stands still.

    :raises QemuError: QEMU does not take it; its own words.
    """
    address = check_socket_path(qemu.folder / f"{qemu.name}.state")
    qemu.qmp.execute("migrate-incoming", uri=f"unix:{address}")
    with socket.socket(socket.AF_UNIX) as stream, file.open("rb") as state:
        stream.settimeout(_PATIENCE_S)
        with contextlib.suppress(OSError):  # QEMU says why
            stream.connect(str(qemu.host.near(address)))
            stream.sendfile(state)
    _wait_completed(qemu)


def _wait_completed(qemu: QemuProcess) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        told: Json = qemu.qmp.execute("query-migrate")
        if (status := told.get("status", "none")) == "completed":
            return
        if status in ENDED or time.monotonic() > deadline_s:
            why = told.get("error-desc") or qemu.last_words() or f"not within {_PATIENCE_S:g} s"
            raise QemuError(f"{qemu.name}: the guest's saved state: {status}: {why}")
        time.sleep(_LOOK_S)
