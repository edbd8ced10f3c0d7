"""Starts a guest: at both ends of a migration, or in one QEMU alone, where it is to get ready and no more. Knows no kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

from harness.guests.console import Consoles
from harness.guests.contract import Place
from harness.guests.native import MethodPlan, apply_plan
from harness.guests.qemu_ends import TRACE, QemuEnds
from harness.guests.qemu_kind import CONSOLE, QemuKind, Sides
from harness.guests.saved import load
from harness.qemu.page_requests import trace_argv
from harness.qemu.process import QemuProcess


def hear(consoles: Consoles, qemus: Mapping[str, QemuProcess]) -> None:
    """Each guest, on its host. :raises QemuError: a QEMU has gone."""
    consoles.connect(
        {name: qemu.chardev(CONSOLE) for name, qemu in qemus.items()}, {name: qemu.host for name, qemu in qemus.items()}
    )


@contextmanager
def start_alone(kind: QemuKind, argv: Sequence[str], place: Place, name: str = "source") -> Iterator[Sides]:
    """As the source of ``place``, the guest loaded and not yet running; ended at the end. ``argv``: as of ``start_ends``.

    :raises QemuError: QEMU refuses or dies.
    """
    shared = [*argv, *kind.prepare(place.run_dir), *kind.arguments(boots=True), "-S"]
    with QemuProcess(name, shared, run_dir=place.run_dir, host=place.source, chardevs=kind.chardevs) as qemu:
        sides = Sides({"source": qemu}, Consoles({"source": kind.feed()}), place)
        with closing(sides.consoles):
            hear(sides.consoles, {"source": qemu})
            yield sides


@contextmanager
def start_ends(
    kind: QemuKind, argv: list[str], plan: MethodPlan, place: Place, *, steered: bool = False
) -> Iterator[QemuEnds]:
    """Both QEMUs, set up as planned and read back, the source's guest loaded and not yet running; stopped at the end.

    ``argv``: what both share, beginning with the binary. Logs are ``source.log`` and ``destination.log`` in the place's folder.
    ``steered``: the source has a second QMP socket, for a sender.

    :raises QemuError: a QEMU refuses or dies, or a setting did not take.
    """
    shared = [*argv, *kind.prepare(place.run_dir)]
    begun, comes = kind.state is not None, ["-incoming", "defer"]
    arguments = {
        "source": [*plan.source.argv, *kind.arguments(boots=not begun), *(comes if begun else ()), "-S"],
        "destination": [*plan.destination.argv, *kind.arguments(boots=False), *comes],
    }
    if kind.holds:
        arguments["destination"].append("-S")
    if plan.traces_requests:
        arguments["destination"] += trace_argv(place.destination.folder(place.run_dir) / TRACE)
    with ExitStack() as stack:
        qemus = {
            name: stack.enter_context(
                QemuProcess(
                    name,
                    [*shared, *arguments[name]],
                    run_dir=place.run_dir,
                    host=host,
                    chardevs=kind.chardevs,
                    second_qmp=steered and name == "source",
                )
            )
            for name, host in (("source", place.source), ("destination", place.destination))
        }
        ends = QemuEnds(kind, plan, place, qemus)
        stack.callback(ends.consoles.close)
        hear(ends.consoles, qemus)
        if kind.state is not None:
            load(ends.source, kind.state)  # before it has capabilities, which would be those of this load too
        ends.parameters = apply_plan(plan, ends.source.qmp, ends.destination.qmp)
        yield ends
