"""What this machine can do for a benchmark, and what spoils its figures: one check per subject, each of which looks for itself."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable

from backends import registry
from backends.opencl.devices import DeviceConfig
from backends.opencl.errors import OpenclError, OpenclMissing
from backends.opencl.probe import probe_in_child
from harness.doctor.check import Check, told
from harness.doctor.memory import MEMORY_LOOKS
from harness.errors import MissingError, PageferryError
from harness.experiment import environment
from harness.guests.accel import probe_accel
from harness.guests.qemu_kind import usual_kind
from harness.hosts import limits
from harness.links.netns import NetnsLink, NetnsSettings
from harness.qemu.survey import survey

QEMU = "qemu-system-x86_64"
_TRIED_BYTES_PER_S, _TRIED_DELAY_S = 125_000_000, 0.001


def doctor() -> list[Check]:
    """All checks, in the order in which a run needs them. Takes about two seconds."""
    return [check for look in _LOOKS for check in look()]


def nothing_runs(checks: Iterable[Check]) -> bool:
    """Whether this machine can run no scenario at all: a replay needs one backend, and ``none`` needs nothing."""
    return any(check.id == "backend none" and check.status == "missing" for check in checks)


def _kvm() -> list[Check]:
    title = "KVM"
    if sys.platform != "linux":
        fix = "use a Linux host, or replay streams: guest kind synthetic"
        return [Check("kvm", title, "missing", f"{sys.platform} is not Linux", "no guest runs here", fix)]
    problem = environment.kvm_problem()
    if problem is None and shutil.which(QEMU) is None:
        return [
            Check("kvm", title, "ok", "/dev/kvm can be opened", "a guest would show whether it works; QEMU is missing")
        ]
    if problem is None:
        try:
            accel = probe_accel(QEMU, usual_kind())
        except PageferryError as exc:  # not KVM's fault: it could not be tried
            means = "whether guests run at the processor's speed is not known"
            found, fix = told(exc)
            return [Check("kvm", title, "warn", f"not tried: {found}", means, fix)]
        if accel.name == "kvm":
            means = "bare guests run at the processor's speed; whether a Linux does, too, is tried when a run has one"
            return [Check("kvm", title, "ok", accel.reason, means)]
        problem = accel.reason
    means = "guests run under TCG, which takes cores from the codecs: their times are no measure of KVM guests"
    return [Check("kvm", title, "warn", problem, means, _kvm_remedy(problem))]


def _kvm_remedy(problem: str) -> str:
    if "denied" in problem or "permi" in problem:
        return "add yourself to the group kvm (usermod -aG kvm USER), then log in again"
    if "No such" in problem or "absent" in problem:
        return "load kvm_amd or kvm_intel, enable virtualisation in the firmware or nesting in the outer hypervisor"
    return "`pageferry --debug doctor` shows what QEMU said; fix that, or try another QEMU or kernel"


def _qemu() -> list[Check]:
    fix = "apt install qemu-system-x86"
    if shutil.which(QEMU) is None:
        means = "no live guest; recorded and synthetic streams still run"
        return [Check("qemu", "QEMU", "missing", f"{QEMU} is not on PATH", means, fix)]
    try:
        known = survey(QEMU)
    except MissingError as exc:
        found, fix = told(exc)
        return [Check("qemu", "QEMU", "missing", found, "no live guest", fix)]
    except PageferryError as exc:
        return [Check("qemu", "QEMU", "missing", str(exc), "no live guest", f"fix or reinstall it: {fix}")]
    has = [name for name, lack in known.methods.items() if lack is None]
    lacks = [name for name, lack in known.methods.items() if lack is not None]
    found = f"{environment.qemu_version(QEMU)}; methods: {', '.join(has)}"
    means = f"methods that need {', '.join(lacks)} are skipped" if lacks else "every native method can be compared"
    if known.lacks_capability("compress"):
        fix = "for the published comparison use QEMU 2.4 to 9.0, which has the compress capability (guest.qemu)"
        return [Check("qemu", "QEMU", "warn", found, means, fix)]
    return [Check("qemu", "QEMU", "ok", found, means)]


def _links() -> list[Check]:
    relay = "links are the userspace relay: it counts and limits as well, but costs CPU that a real link does not"
    if os.geteuid() != 0:
        fix = "run as root for two network namespaces with a shaped link between (link.kind = netns)"
        return [Check("netns", "root and namespaces", "warn", "not root", relay, fix)]
    for tool, package in (("ip", "iproute2"), ("tc", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            return [Check("netns", "root and namespaces", "warn", f"no {tool}", relay, f"apt install {package}")]
    fix = "allow CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
    works = ("root; ip netns works", "links can be two namespaces and a veth pair")
    namespaces = _link_check(("netns", "root and namespaces"), {}, works, (relay, fix))
    if namespaces.status != "ok":
        return [namespaces]
    works = ("a veth takes a token bucket", "the kernel limits the link's bandwidth")
    fails = (f"limited {relay}", "load the kernel modules veth and sch_tbf")
    bucket = _link_check(("tbf", "tc tbf"), {"bandwidth_bytes_per_s": _TRIED_BYTES_PER_S}, works, fails)
    works = ("it makes interfaces", "links between namespaces can have delay, jitter and loss")
    means = "links have no loss; their delay is a relay's, without TCP's limits over a distance"
    fails = (means, "load the kernel module tun (docker run --device /dev/net/tun)")
    return [namespaces, bucket, _link_check(("tun", "/dev/net/tun"), {"delay_s": _TRIED_DELAY_S}, works, fails)]


def _link_check(
    name: tuple[str, str], settings: dict[str, float], works: tuple[str, str], fails: tuple[str, str]
) -> Check:
    """By a trial. ``works``: what was found, and what that means; ``fails``: what that means, and the remedy."""
    try:
        with NetnsLink(NetnsSettings.model_validate(settings)):
            return Check(*name, "ok", *works)
    except PageferryError as exc:
        return Check(*name, "warn", _first_words(exc), *fails)


def _first_words(exc: PageferryError) -> str:
    """Without its remedy, which is for a scenario's author."""
    return str(exc).removeprefix("link: ").partition(";")[0]


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
        return [Check("opencl", title, "warn", str(exc), means, "fix or uninstall that driver")]
    found = "; ".join(f"{row}, driver {row.driver}" for row in rows)
    try:
        chosen = next(row for row in probe_in_child(DeviceConfig(cpu_allowed=True)) if row.chosen)
    except OpenclMissing as exc:
        means = f"no batch can be compressed there: {exc.missing}"
        return [Check("opencl", title, "warn", found, means, exc.remedy)]
    except OpenclError as exc:
        means = f"no batch can be compressed there: {exc}"
        return [
            Check("opencl", title, "warn", found, means, "fix the driver, or set PAGEFERRY_OPENCL_DEVICE to another")
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


def _processors() -> list[Check]:
    title, quota = "processors", limits.cpu_quota()
    found = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    if quota is None or quota >= len(os.sched_getaffinity(0)):
        return [Check("processors", title, "ok", found, "no limit on the time that they may be used")]
    found += f", and a control group allows the time of {quota:g}"
    means = (
        "whoever has used up its time stands still for the rest of a tenth of a second: times and downtimes show that"
    )
    fix = "raise the limit (docker run --cpus; systemd: CPUQuota; cgroup: cpu.max)"
    return [Check("processors", title, "warn", found, means, fix)]


def _load() -> list[Check]:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    found = f"{load:.2f} on {cores} cores"
    if load <= 0.25 * cores:
        return [Check("load", "load", "ok", found, "little else is running")]
    means = "other programs take CPU time from guests and codecs: intervals widen and totals grow"
    return [Check("load", "load", "warn", found, means, "stop other programs and wait a minute")]


_LOOKS: tuple[Callable[[], list[Check]], ...] = (
    _kvm,
    _qemu,
    _links,
    _codecs,
    _opencl,
    _governor,
    _smt,
    _processors,
    _load,
    *MEMORY_LOOKS,
)
