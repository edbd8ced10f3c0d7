"""Lets the destination's guest run only once its source has given it up, over the destination QEMU's QMP.

QEMU itself lets it run as soon as it has all of it, while its source, whose connection may still end, can yet go on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from harness.errors import MissingError, QemuError
from harness.migrator.monitor import open_monitor

if TYPE_CHECKING:
    from harness.qemu.qmp import Qmp

_POSTCOPY = "postcopy-ram"


class Starter:
    """Of one migration; any thread. ``address``: of the QMP; None: the guest is QEMU's to let run. ``started``: it was told to run.
    ``failed``: its QEMU has ended, so it never will."""

    def __init__(self, address: str | None) -> None:
        self.waits = address is not None
        self.started = not self.waits
        self.failed = False
        self._address = address
        self._lock = threading.Lock()
        self._qmp: Qmp | None = None

    def hold(self) -> None:
        """Before QEMU gets a byte: its guest is not to go on by itself (``stop`` of one that waits for a migration switches that
        off, as ``-S`` does). May be called again. Raises as ``open_monitor``. :raises ConnectionError: there is no such QEMU yet.

        :raises QemuError: it waits for no migration, or may let its guest run before the end of one.
        """
        if self._address is None or self._qmp is not None:
            return
        try:
            self._qmp = open_monitor(self._address, "destination")
        except MissingError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):
                raise
            raise ConnectionError(str(exc)) from exc
        state = self._qmp.execute("query-status")["status"]
        if state != "inmigrate":
            raise QemuError(
                f"--qmp {self._address}: that QEMU waits for no migration (its state is {state!r}); give the socket of the "
                "destination QEMU, which was started with -incoming"
            )
        self._require_precopy(self._qmp)
        self._qmp.execute("stop")

    def _require_precopy(self, qmp: Qmp) -> None:
        for capability in qmp.execute("query-migrate-capabilities"):
            if capability["capability"] == _POSTCOPY and capability["state"]:
                raise QemuError(
                    f"--qmp {self._address}: {_POSTCOPY} is on in that QEMU, and in post-copy its guest has to run while "
                    "the source still sends; start `pageferry receive` without --qmp, or turn it off in both QEMUs "
                    f"(migrate_set_capability {_POSTCOPY} off)"
                )

    def start(self) -> None:
        """It has all, and its source has given it up. :raises QemuError: the guest does not run."""
        with self._lock:
            if self.started or self._qmp is None:
                return
            try:
                self._qmp.execute("cont")
            except QemuError as exc:
                self.failed = not self._qmp.alive
                raise QemuError(
                    f"the destination QEMU has all of the guest and could not be told to run it ({exc}): say `cont` there; or, "
                    "if it has ended, at the source QEMU, which has all of it too"
                ) from exc
            self.started = True

    def close(self) -> None:
        """Its connection. May be called twice."""
        if self._qmp is not None:
            self._qmp.close()
