"""The source QEMU's parameters while steering turns them: read, set and read back, and given back to their owner, over a connection
that may be lost and had again. What to set, and when, is ``steering``'s to say.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import PageferryError, QemuError
from harness.migrator.steering.switchover import Knob
from harness.qemu.qmp import Json, Qmp


class Borrowed:
    """``connect`` to that QEMU, which answers within ``answer_timeout_s()``. Used by one thread at a time.

    ``owners``: its values as they were found, or as somebody else set them since.
    """

    def __init__(self, connect: Callable[[], Qmp], answer_timeout_s: Callable[[], float]) -> None:
        self._connect, self._answer_timeout_s = connect, answer_timeout_s
        self._qmp: Qmp | None = None
        self.owners: dict[str, int] = {}
        self._ours: dict[str, tuple[int, ...]] = {}  # what may stand there by our doing, the latest last
        self.restored = False

    def open(self) -> None:
        """Connect, and ask what there is to turn. Raises as ``connect``. :raises QemuError: there is nothing, or QEMU refuses."""
        self._qmp = self._connect()
        self.owners = self._read()
        if Knob.LIMIT.value not in self.owners:
            raise QemuError(f"{self._qmp.name}: this QEMU has no {Knob.LIMIT.value}, so there is nothing to steer")

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        qmp, self._qmp = self._qmp, None
        if qmp is not None:
            qmp.close()

    def ask(self, command: str, **arguments: object) -> Json:
        """What QEMU returns. :raises QemuError: it refuses, does not answer in time, or is gone."""
        if self._qmp is None:
            raise QemuError("the connection to the source QEMU is closed")
        return self._qmp.execute(command, timeout_s=self._answer_timeout_s(), **arguments)

    def set(self, name: str, value: int) -> None:
        """And read it back. :raises QemuError: as ``ask``, or QEMU kept another."""
        self._ours[name] = (*self._ours.get(name, ())[-1:], value)
        self.ask("migrate-set-parameters", **{name: value})
        if (kept := self._read().get(name)) != value:
            self._ours[name] = (value if kept is None else kept,)
            raise QemuError(f"{self.name}: {name}: asked for {value}, QEMU kept {kept}")
        self._ours[name] = (value,)

    def taken_over(self) -> dict[str, int]:
        """What somebody else set meanwhile: it is theirs from now on, and is what is given back. :raises QemuError: as ``ask``."""
        found = self._read()
        theirs = {
            name: value for name, value in found.items() if value not in self._ours.get(name, (self.owners[name],))
        }
        for name, value in theirs.items():
            self.owners[name] = value
            self._ours.pop(name, None)
        return theirs

    def give_back(self) -> None:
        """Whatever is still as we set it, over a new connection if the last one is gone. After a failure the next call connects
        anew. :raises PageferryError: QEMU is not to be had, or keeps what it has."""
        try:
            if self._ours:
                self._give_back()
        except PageferryError:
            self.close()
            raise
        self._ours = {}
        self.restored = True

    def _give_back(self) -> None:
        if self._qmp is None or not self._qmp.alive:
            self.close()
            self._qmp = self._connect()
        found = self._read()
        ours = {name: self.owners[name] for name, values in self._ours.items() if found.get(name) in values}
        if not ours:
            return
        self.ask("migrate-set-parameters", **ours)
        kept = self._read()
        if any(kept.get(name) != value for name, value in ours.items()):
            raise QemuError(f"{self.name}: asked for {_listed(ours)}, QEMU kept {_listed({n: kept[n] for n in ours})}")

    @property
    def standing(self) -> str:
        """What was not given back, in words; empty: nothing."""
        return " and ".join(
            f"{name} was set to {' or '.join(map(str, values))}, its owner's value is {self.owners[name]}"
            for name, values in self._ours.items()
        )

    @property
    def name(self) -> str:
        """For messages."""
        return "source QEMU" if self._qmp is None else self._qmp.name

    def _read(self) -> dict[str, int]:
        found = self.ask("query-migrate-parameters")
        return {knob.value: int(found[knob.value]) for knob in Knob if knob.value in found}


def _listed(values: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
