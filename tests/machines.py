"""Machines of many kinds, each migrated once through the pair with 8 MiB of its memory compared, and what the pair understood.

No guest needs an operating system: firmware or a loop runs, and memory holds what QEMU's generic loader put there.
"""

from __future__ import annotations

import filecmp
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from live_guests import MIB, two_halves, wait_status
from qemu_builds import Build

from harness.errors import QemuError
from harness.migrator.report import SenderReport
from harness.qemu.migration import listen
from harness.qemu.process import QemuProcess

FILL_BYTES = 8 * MIB
RAM_BYTES = 128 * MIB
MEMORY = ("-m", f"{RAM_BYTES // MIB}")
MAY_GROW = ("-m", f"{RAM_BYTES // MIB},slots=2,maxmem=1G")
DIMM_BYTES = 32 * MIB
ABOVE = 4 << 30
"""Where memory that was added later begins."""
UNLIMITED = 1 << 40


@dataclass(frozen=True)
class Machine:
    """``fill_at``: the guest-physical address of memory that nobody uses."""

    name: str
    arguments: Sequence[str]
    target: str = "x86_64"
    capabilities: Sequence[str] = ()
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    fill_at: int = 32 * MIB
    hugepages: int = 0
    """Of 2 MiB, that each side needs."""
    plugged: Sequence[Mapping[str, object]] = ()
    """What is added to the source by QMP while its guest runs: ``object-add``'s arguments, then ``device_add``'s."""
    plugged_there: Sequence[str] = ()
    """The same, for the destination, which is started with it."""


@dataclass(frozen=True)
class Seen:
    """What became of one migration. ``words`` stand in the table."""

    version: str
    words: str
    sent: SenderReport | None = None


def x86(name: str, *arguments: str, machine: str = "pc", memory: Sequence[str] = MEMORY, **more: object) -> Machine:
    return Machine(name, ["-machine", machine, *memory, *arguments], **more)  # type: ignore[arg-type]


def _node(number: int) -> list[str]:
    size = RAM_BYTES // 2
    return [
        "-object",
        f"memory-backend-ram,id=n{number},size={size}",
        "-numa",
        f"node,nodeid={number},memdev=n{number}",
    ]


HUGE = [
    "-object",
    f"memory-backend-memfd,id=m,size={RAM_BYTES},hugetlb=on,hugetlbsize=2M",
    "-machine",
    "memory-backend=m",
]
DIMM = ["-object", f"memory-backend-ram,id=d,size={DIMM_BYTES}", "-device", "pc-dimm,memdev=d,id=dimm0"]
VIRTIO_MEM = ["-object", f"memory-backend-ram,id=v,size={DIMM_BYTES}", "-device", "virtio-mem-pci,memdev=v,id=vmem0"]
GROWN: Mapping[str, object] = {
    "qom-type": "memory-backend-file",
    "size": DIMM_BYTES,
    "share": False,
    "mem-path": "{grown}",
}
"""Memory that is not there yet when QEMU loads what is to be in it: it begins with that instead."""
PLUGGED_DIMM = ({**GROWN, "id": "d"}, {"driver": "pc-dimm", "memdev": "d", "id": "dimm0"})
PLUGGED_VIRTIO_MEM = ({**GROWN, "id": "v"}, {"driver": "virtio-mem-pci", "memdev": "v", "id": "vmem0", "addr": "5"})
POSTCOPY = ("postcopy-ram",)
MULTIFD: Mapping[str, int | str] = {"multifd-channels": 4}

MACHINES = (
    x86("pc"),
    x86("q35", machine="q35"),
    x86("pc, two NUMA nodes", *_node(0), *_node(1)),
    x86("q35, pc-dimm", *DIMM, machine="q35", memory=MAY_GROW, fill_at=ABOVE),
    x86(
        "pc, pc-dimm plugged while the guest ran",
        memory=MAY_GROW,
        fill_at=ABOVE,
        plugged=PLUGGED_DIMM,
        plugged_there=DIMM,
    ),
    x86("q35, virtio-mem with nothing plugged", *VIRTIO_MEM, machine="q35", memory=MAY_GROW),
    x86(
        "pc, virtio-mem plugged while the guest ran, which has no driver for it",
        memory=MAY_GROW,
        plugged=PLUGGED_VIRTIO_MEM,
        plugged_there=[*VIRTIO_MEM[:-1], f"{VIRTIO_MEM[-1]},addr=5"],
    ),
    x86("pc, virtio-balloon", "-device", "virtio-balloon-pci"),
    x86("pc, pflash", "-drive", "if=pflash,format=raw,readonly=on,file={seabios}"),
    x86("pc, postcopy-ram on", capabilities=POSTCOPY),
    x86("pc, huge pages, postcopy-ram on", *HUGE, capabilities=POSTCOPY, hugepages=RAM_BYTES // (2 * MIB)),
    x86("q35, pc-dimm, postcopy-ram on", *DIMM, machine="q35", memory=MAY_GROW, fill_at=ABOVE, capabilities=POSTCOPY),
    x86("pc, dirty-bitmaps on", capabilities=("dirty-bitmaps",)),
    x86("pc, two NUMA nodes, x-ignore-shared on", *_node(0), *_node(1), capabilities=("x-ignore-shared",)),
    x86("pc, multifd, 4 channels", capabilities=("multifd",), parameters=MULTIFD),
    x86(
        "pc, multifd, 4 channels, zstd",
        capabilities=("multifd",),
        parameters={**MULTIFD, "multifd-compression": "zstd"},
    ),
    x86(
        "pc, multifd, 4 channels, zero pages found in them",
        capabilities=("multifd",),
        parameters={**MULTIFD, "zero-page-detection": "multifd"},
    ),
    x86("pc, multifd with postcopy-ram on", capabilities=("multifd", *POSTCOPY), parameters=MULTIFD),
    Machine(
        "Arm (virt)",
        ["-machine", "virt", "-cpu", "cortex-a57", *MEMORY],
        target="aarch64",
        fill_at=(1 << 30) + 32 * MIB,
    ),
    Machine("s390x", ["-machine", "s390-ccw-virtio", "-kernel", "{loop}", *MEMORY], target="s390x"),
    Machine("ppc64 (pseries)", ["-machine", "pseries", "-m", "256"], target="ppc64"),
)


def tried(machine: Machine, build: Build, folder: Path) -> Seen:
    """Migrate it. :raises AssertionError: it fails, or a byte is not as it was."""
    with ExitStack() as stack:
        sides = [_started(stack, machine, build, folder, name) for name in ("source", "destination")]
        source, destination = sides
        told = source.qmp.execute("query-version")["qemu"]
        version = f"{told['major']}.{told['minor']}.{told['micro']}"
        try:
            for side in sides:
                _set(side, machine)
        except QemuError as exc:
            return Seen(version, f"refused by QEMU: {str(exc).rpartition(': ')[2]}")
        halves = stack.enter_context(two_halves(folder, "pair"))
        halves.start()
        source.qmp.execute("cont")
        for command, arguments in zip(("object-add", "device_add"), machine.plugged, strict=False):
            source.qmp.execute(command, **_filled_in(arguments, folder))
        listen(destination, f"unix:{halves.destination}")
        source.qmp.execute("migrate", uri=f"unix:{halves.source}")
        assert [wait_status(side, "completed", "failed") for side in sides] == ["completed"] * 2, _why(sides)
        sent = halves.sender.finish()
        assert isinstance(sent, SenderReport)
        assert sent.batches_digest == halves.receiver.finish().batches_digest
        _compare(machine, sides, folder)
        destination.qmp.execute("cont")
        assert destination.qmp.execute("query-status")["running"]
    return Seen(version, _words(sent), sent)


def _filled_in(arguments: Mapping[str, object], folder: Path) -> dict[str, object]:
    return {
        name: value.format(grown=folder / "grown") if isinstance(value, str) else value
        for name, value in arguments.items()
    }


def _started(stack: ExitStack, machine: Machine, build: Build, folder: Path, name: str) -> QemuProcess:
    files = {"loop": folder / "loop", "seabios": build.shared / "seabios/bios-256k.bin"}
    files["loop"].write_bytes(S390X_LOOP)
    fill = folder / "fill"
    fill.write_bytes(random.Random(1).randbytes(FILL_BYTES // 2) + b"ferried\n" * (FILL_BYTES // 16))
    shutil.copy(fill, folder / "grown")
    os.truncate(folder / "grown", DIMM_BYTES)
    load = ["-device", f"loader,file={fill},addr={machine.fill_at},force-raw=on"]
    own = (
        ([] if machine.plugged and machine.fill_at == ABOVE else load)
        if name == "source"
        else [*machine.plugged_there, "-incoming", "defer"]
    )
    words = [word.format(**files) for word in (*machine.arguments, *own)]
    accel = ["-accel", "kvm"] if machine.target == "x86_64" and os.access("/dev/kvm", os.W_OK) else []
    common = [*accel, "-accel", "tcg", "-nodefaults", "-display", "none", "-S", "-action", "panic=none"]
    return stack.enter_context(QemuProcess(name, [*build.command(machine.target), *words, *common], run_dir=folder))


S390X_LOOP = bytes.fromhex("0008000080010000").ljust(1 << 16, b"\0") + bytes.fromhex("a7f40000")
"""A processor status word that names the address behind it, and there a branch to itself."""


def _set(side: QemuProcess, machine: Machine) -> None:
    states = [{"capability": name, "state": True} for name in ("return-path", *machine.capabilities)]
    side.qmp.execute("migrate-set-capabilities", capabilities=states)
    side.qmp.execute("migrate-set-parameters", **{"max-bandwidth": UNLIMITED, **machine.parameters})


def _compare(machine: Machine, sides: Sequence[QemuProcess], folder: Path) -> None:
    """What was put there. Of the rest TCG does not always notice what changes while it is sent, without the pair either."""
    for side in sides:
        dump = folder / f"{side.name}.ram"
        side.qmp.execute("pmemsave", val=machine.fill_at, size=FILL_BYTES, filename=str(dump))
        assert filecmp.cmp(dump, folder / "fill", shallow=False), (
            f"{machine.name}: {side.name}: memory is not as it was"
        )


def _why(sides: Sequence[QemuProcess]) -> str:
    return "; ".join(f"{side.name}: {side.qmp.execute('query-migrate')}: {side.last_words()}" for side in sides)


def _words(sent: SenderReport) -> str:
    """What was understood."""
    reasons = sorted({each.opaque_reason for each in sent.channels if each.opaque_reason})
    if reasons:
        return f"opaque: {'; '.join(reason.partition(' (at byte')[0] for reason in reasons)}"
    assert sent.raw_pages + sent.other_pages >= FILL_BYTES // 4096
    packed = sorted({each.packed_by for each in sent.channels if each.packed_by})
    return f"parsed{', packed by ' + ' and '.join(packed) if packed else ''}"
