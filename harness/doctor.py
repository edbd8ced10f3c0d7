"""What this machine can do for a benchmark and what spoils its figures: one Check per subject, with meaning and remedy.

Each check looks for itself and raises nothing. ``missing`` stops something, ``warn`` makes figures doubtful.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import psutil

from backends import registry
from backends.opencl.devices import DeviceConfig, OpenclError, OpenclMissing, probe_in_child
from harness import environment
from harness.errors import PageferryError
from harness.guests.accel import Accel, probe_accel
from harness.guests.survey import survey
from harness.units import format_bytes

__all__ = ["Check", "doctor", "nothing_runs"]

QEMU = "qemu-system-x86_64"
NEEDED_MEMORY_BYTES = 2 << 30
"""Two 512 MiB guests, the source's RAM kept for verification, and the two halves of the pair."""

_PROBE_NAMESPACE = f"pf-doctor-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Check:
    """``found`` is the fact, ``means`` what it does to results, ``mend`` what to do about it (empty when all is well)."""

    id: str
    title: str
    status: Literal["ok", "warn", "missing"]
    found: str
    means: str
    mend: str = ""


def doctor() -> list[Check]:
    """All checks, in the order in which a run needs them. Takes about two seconds."""
    return [check for look in _LOOKS for check in look()]


def nothing_runs(checks: Iterable[Check]) -> bool:
    """Whether this machine can run no scenario at all: a replay needs one backend, and ``none`` needs nothing."""
    return any(check.id == "backend none" and check.status == "missing" for check in checks)


def _kvm() -> list[Check]:
    title = "KVM"
    if sys.platform != "linux":
        mend = "use a Linux host, or replay streams: guest kind synthetic"
        return [Check("kvm", title, "missing", f"{sys.platform} is not Linux", "no guest runs here", mend)]
    problem = environment.kvm_problem()
    if problem is None and shutil.which(QEMU) is None:
        return [
            Check("kvm", title, "ok", "/dev/kvm can be opened", "a guest would show whether it works; QEMU is missing")
        ]
    if problem is None:
        try:
            accel = probe_accel(QEMU)
        except PageferryError as exc:
            accel = Accel("tcg", "", str(exc))
        if accel.name == "kvm":
            return [Check("kvm", title, "ok", accel.reason, "guests run at the processor's speed")]
        problem = accel.reason
    means = "guests run under TCG, which takes cores from the codecs: their times are no measure of KVM guests"
    mend = "load kvm_amd or kvm_intel, enable virtualisation in the firmware or nesting in the outer hypervisor"
    if "denied" in problem:
        mend = "add yourself to the group kvm (usermod -aG kvm USER), then log in again"
    return [Check("kvm", title, "warn", problem, means, mend)]


def _qemu() -> list[Check]:
    mend = "apt install qemu-system-x86"
    if shutil.which(QEMU) is None:
        means = "no live guest; recorded and synthetic streams still run"
        return [Check("qemu", "QEMU", "missing", f"{QEMU} is not on PATH", means, mend)]
    try:
        known = survey(QEMU)
    except PageferryError as exc:
        return [Check("qemu", "QEMU", "missing", str(exc), "no live guest", f"mend or reinstall it: {mend}")]
    has = [name for name, lack in known.methods.items() if lack is None]
    lacks = [name for name, lack in known.methods.items() if lack is not None]
    found = f"{environment.qemu_version(QEMU)}; methods: {', '.join(has)}"
    means = f"methods that need {', '.join(lacks)} are skipped" if lacks else "every native method can be compared"
    if known.lacks_capability("compress"):
        mend = "for the published comparison use QEMU 2.4 to 9.0, which has the compress capability (guest.qemu)"
        return [Check("qemu", "QEMU", "warn", found, means, mend)]
    return [Check("qemu", "QEMU", "ok", found, means)]


def _links() -> list[Check]:
    relay = "links are the userspace relay: it counts and limits as well, but costs CPU that a real link does not"
    if os.geteuid() != 0:
        mend = "run as root for two network namespaces with a shaped link between (link.kind = netns)"
        return [Check("netns", "root and namespaces", "warn", "not root", relay, mend)]
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            return [Check("netns", "root and namespaces", "warn", f"no {tool}", relay, "apt install iproute2")]
    problem = _try_commands(f"ip netns add {_PROBE_NAMESPACE}")
    if problem is not None:
        mend = "allow CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
        return [Check("netns", "root and namespaces", "warn", problem, relay, mend)]
    try:
        problem = _try_commands(
            f"ip -n {_PROBE_NAMESPACE} link add pf-a type veth peer name pf-b",
            f"tc -n {_PROBE_NAMESPACE} qdisc add dev pf-a root tbf rate 1gbit burst 256kb latency 50ms",
        )
    finally:
        _try_commands(f"ip netns del {_PROBE_NAMESPACE}")
    found = "root; ip netns works"
    namespaces = Check("netns", "root and namespaces", "ok", found, "links can be two namespaces and a veth pair")
    if problem is None:
        shaped = Check("tbf", "tc tbf", "ok", "a veth takes a token bucket", "the kernel limits the link's bandwidth")
    else:
        mend = "load the kernel modules veth and sch_tbf"
        shaped = Check("tbf", "tc tbf", "warn", problem, f"limited {relay}", mend)
    return [namespaces, shaped]


def _try_commands(*commands: str) -> str | None:
    """Run each until one fails; the reason why it did, or None."""
    for command in commands:
        try:
            done = subprocess.run(command.split(), capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            return f"{command}: {exc}"
        if done.returncode != 0:
            return f"{command}: {(done.stderr or done.stdout).strip() or f'exit status {done.returncode}'}"
    return None


def _codecs() -> list[Check]:
    return [
        Check(f"backend {b.name}", f"backend {b.name}", "ok", b.version or "works", f"runs on {b.device or 'cpu'}")
        if b.available
        else Check(
            f"backend {b.name}",
            f"backend {b.name}",
            "missing",
            b.reason or "",
            "its methods are skipped",
            b.remedy or "",
        )
        for b in registry.survey()
    ]


def _opencl() -> list[Check]:
    """All devices; and whether one of them compresses. Both are tried in child processes, as drivers abort and crash."""
    title = "OpenCL devices"
    try:
        rows = probe_in_child()
    except OpenclMissing as exc:
        means = "the backend opencl cannot be used; the CPU's backends do not need it"
        return [Check("opencl", title, "missing", exc.missing, means, exc.remedy)]
    except OpenclError as exc:
        means = "a driver fails when it is only asked for its devices: the backend opencl cannot be used"
        return [Check("opencl", title, "warn", str(exc), means, "mend or uninstall that driver")]
    found = "; ".join(f"{row}, driver {row.driver}" for row in rows)
    try:
        chosen = next(row for row in probe_in_child(DeviceConfig(cpu_allowed=True)) if row.chosen)
    except OpenclMissing as exc:
        means = f"no batch can be compressed there: {exc.missing}"
        return [Check("opencl", title, "warn", found, means, exc.remedy)]
    except OpenclError as exc:
        means = f"no batch can be compressed there: {exc}"
        return [
            Check("opencl", title, "warn", found, means, "mend the driver, or set PAGEFERRY_OPENCL_DEVICE to another")
        ]
    if chosen.type == "CPU":
        means = "a stand-in for a card: it shows that offload works, and takes the cores that it should spare"
    else:
        means = f"batches can be compressed on {chosen.name}"
    return [Check("opencl", title, "ok", found, means)]


def _governor() -> list[Check]:
    title, name = "CPU governor", environment.governor()
    if name == "performance":
        return [Check("governor", title, "ok", name, "cores keep their clock")]
    if name is None:
        means = "the host below, or the firmware, decides the clock: repeats show how steady it is"
        return [Check("governor", title, "ok", "the kernel does not scale the clock", means)]
    means = "cores change their clock with load: short runs measure the climb"
    return [Check("governor", title, "warn", name, means, "cpupower frequency-set -g performance")]


def _smt() -> list[Check]:
    title, active = "SMT", environment.smt_active()
    if not active:
        found = "off" if active is False else "the kernel does not say"
        return [Check("smt", title, "ok", found, "each core this system sees is taken for a whole one")]
    means = "two threads share a core: thread counts above the number of cores gain little, and results vary more"
    return [Check("smt", title, "warn", "on", means, "echo off > /sys/devices/system/cpu/smt/control")]


def _load() -> list[Check]:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    found = f"{load:.2f} on {cores} cores"
    if load <= 0.25 * cores:
        return [Check("load", "load", "ok", found, "little else is running")]
    means = "other programs take CPU time from guests and codecs: intervals widen and totals grow"
    return [Check("load", "load", "warn", found, means, "stop other programs and wait a minute")]


def _memory() -> list[Check]:
    free = psutil.virtual_memory().available
    found = f"{format_bytes(free)} available"
    if free >= NEEDED_MEMORY_BYTES:
        return [Check("memory", "free memory", "ok", found, "room for two guests and for verification")]
    means = "two 512 MiB guests and their verification may swap or be killed"
    return [Check("memory", "free memory", "warn", found, means, "free memory, or --set guest.memory=256MiB")]


def _shm() -> list[Check]:
    title = "/dev/shm"  # noqa: S108 - the name of the file system, nothing is made there
    try:
        free = shutil.disk_usage(title).free
    except OSError as exc:
        means = "guests' memory goes to TMPDIR; on a disk its writing disturbs the figures"
        return [Check("shm", title, "warn", exc.strerror or str(exc), means, "mount -t tmpfs tmpfs /dev/shm")]
    found = f"{format_bytes(free)} free"
    if free >= NEEDED_MEMORY_BYTES:
        return [
            Check(
                "shm",
                title,
                "ok",
                found,
                "guest memory is dumped there, a piece at a time, to be compared after each run",
            )
        ]
    means = "too small for two guests' memory images"
    mend = "mount -o remount,size=4G /dev/shm (docker run --shm-size=4g)"
    return [Check("shm", title, "warn", found, means, mend)]


_LOOKS: tuple[Callable[[], list[Check]], ...] = (
    _kvm,
    _qemu,
    _links,
    _codecs,
    _opencl,
    _governor,
    _smt,
    _load,
    _memory,
    _shm,
)
