"""Which accelerator really runs a guest here: KVM where a probe boot shows it, else TCG, with the reason in words.

/dev/kvm alone proves nothing: nested and restricted hosts open it and then fail on a processor model, an instruction or
a model-specific register. So a small guest that beats is booted, and KVM is taken if its heartbeat is heard.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from harness.errors import MissingError, QemuError
from harness.guests.console import Beat, GuestFailure
from harness.guests.linux.trial import KernelTrial
from harness.guests.qemu_kind import CONSOLE, Beating, usual_kind
from harness.hosts.rundir import open_scratch
from harness.qemu.process import QemuProcess

Tried: TypeAlias = type[Beating] | KernelTrial
"""What shows at once whether it runs."""
Wanted: TypeAlias = Literal["auto", "kvm", "tcg"]
KVM = Path("/dev/kvm")
_LOGGER = logging.getLogger(__name__)
# The host's own processor first, as operators run it; hosts that refuse one of its registers get it without those, and
# the last is QEMU's smallest 64-bit model.
CPU_MODELS = ("host", "host,-arch-capabilities", "qemu64")


@dataclass(frozen=True, slots=True)
class Accel:
    """``cpu`` is what goes behind ``-cpu``; ``reason`` says why this accelerator and not another."""

    name: Literal["kvm", "tcg"]
    cpu: str
    reason: str

    @property
    def argv(self) -> tuple[str, ...]:
        """What goes on QEMU's command line beside ``-machine NAME,accel=...``."""
        return ("-cpu", self.cpu)


def probe_accel(
    qemu: str,
    kind: Tried,
    wanted: Wanted = "auto",
    cpus: tuple[str, ...] = CPU_MODELS,
) -> Accel:
    """The accelerator for such a guest in ``qemu`` on this machine, one of ``cpus`` its processor; probes once per process.

    :raises MissingError: KVM was asked for and does not work; says why.
    """
    if wanted == "tcg":
        return Accel("tcg", "qemu64", "asked for")
    found = _probe_kvm(qemu, kind, cpus)
    if isinstance(found, Accel):
        return found
    if wanted == "kvm":
        raise MissingError(f'guest.accel "kvm": {found}; fix that, or set accel = "auto" to run under TCG')
    return Accel("tcg", "qemu64", found)


def usual_accel(qemu: str, wanted: Wanted) -> Accel:
    """As ``probe_accel``, by our bare-metal guest; what another host may be asked."""
    return probe_accel(qemu, usual_kind(), wanted)


def kernel_accel(qemu: str, kernel: Path, wanted: Wanted, cpu: str) -> Accel:
    """As ``probe_accel``, by a Linux kernel on one processor model; what another host may be asked."""
    return probe_accel(qemu, KernelTrial(kernel), wanted, (cpu,))


def common(found: Sequence[Accel]) -> Accel:
    """What hosts both can that found these: KVM where each has it, and the humbler of their processors."""
    slower = next((each for each in found if each.name == "tcg"), None)
    return slower or max(found, key=lambda each: CPU_MODELS.index(each.cpu))


@cache
def _probe_kvm(qemu: str, kind: Tried, cpus: tuple[str, ...]) -> Accel | str:
    """KVM with the first processor model that works, or why none does."""
    if (closed := _why_closed()) is not None:
        return f"KVM cannot be used: {KVM} {closed}"
    failures: list[str] = []
    for cpu in cpus:
        failure = _boot_failure(qemu, Accel("kvm", cpu, ""), kind, kind.first_beat_s)
        if failure is None:
            tried = f" (not with {', '.join(failures)})" if failures else ""
            return Accel("kvm", cpu, f"a probe guest ran with -cpu {cpu}{tried}")
        failures.append(f"-cpu {cpu}: {failure}")
    return f"KVM does not work: {KVM} can be opened, but a guest did not run ({', '.join(failures)}); --debug shows what QEMU said"


def _why_closed() -> str | None:
    """Opened, and not only looked at: a container's device may be there and allowed, and refused by its control group."""
    try:
        os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "is absent (no virtualisation in the firmware or in this container, or the kvm module is not loaded)"
    except PermissionError as exc:
        return (
            f"may not be opened: {exc.strerror} (join the group kvm, run as root, or let the container have the device)"
        )
    except OSError as exc:
        return f"cannot be opened: {exc.strerror} (load kvm_amd or kvm_intel)"
    return None


@cache
def beats(qemu: str, accel: Accel, kind: Tried, patience_s: float) -> bool:
    """Whether such a guest is heard with this accelerator; tried once per process."""
    return _boot_failure(qemu, accel, kind, patience_s) is None


def _boot_failure(qemu: str, accel: Accel, kind: Tried, patience_s: float) -> str | None:
    """None if a guest's heartbeat is heard; else why not, in few words. QEMU's own go to the log."""
    with open_scratch() as folder:
        argv = [qemu, "-machine", f"pc,accel={accel.name}", *accel.argv, "-S", *kind.probe_arguments(folder)]
        try:
            with QemuProcess("probe", argv, run_dir=folder, chardevs=[CONSOLE]) as guest:
                return _silence(guest, kind, patience_s)
        except QemuError as exc:
            _LOGGER.debug("-cpu %s: %s", accel.cpu, exc)
            return "QEMU ended by itself"


def _silence(guest: QemuProcess, kind: Tried, patience_s: float) -> str | None:
    feed, deadline_s = kind.feed(), time.monotonic() + patience_s
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(guest.chardev_path(CONSOLE)))
        connection.settimeout(0.1)
        guest.qmp.execute("cont")
        while time.monotonic() < deadline_s and (ended := guest.ended()) is None:
            try:
                events = feed(connection.recv(4096))
            except TimeoutError:
                continue
            for event in events:
                if isinstance(event, Beat):
                    return None
                if isinstance(event, GuestFailure):
                    return f"the guest said: {event.message}"
    _LOGGER.debug("no heartbeat; %s", ended or f"QEMU's last words: {guest.last_words()!r}")
    return "QEMU ended by itself" if ended else f"no heartbeat within {patience_s:g} s"
