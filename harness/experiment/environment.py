"""What machine a result was made on: a flat mapping that goes into every result. Knows where Linux tells, not what it means.

What a fact means for results, and how to fix it, is ``harness.doctor``'s.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import psutil

from backends import registry
from harness.hosts import limits
from harness.hosts.contract import Host

Scalar = str | int | float | bool | None

_ROOT = Path("/")
_KVM = Path("/dev/kvm")
_MOST_NAMED = 8
_LIBRARIES = ("numpy", "qemu.qmp", "xxhash")
_FACTS = ("cpu_model", "cores", "governor", "kernel", "load_1min", "memory_bytes", "os", "qemu", "virtualised")


def collect(qemu_binary: str = "qemu-system-x86_64") -> dict[str, Scalar]:
    """Every fact, as of now. Raises nothing: what cannot be told is None."""
    facts = about_machine(qemu_binary)
    for backend in registry.survey():
        facts[f"backend_{backend.name}"] = backend.version if backend.available else f"missing: {backend.reason}"
    return facts


def about_machine(qemu_binary: str) -> dict[str, Scalar]:
    """Those that need no library to be tried. Takes a tenth of a second."""
    facts: dict[str, Scalar] = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "cpu_model": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu_quota": limits.cpu_quota(),
        "cores_of_machine": os.cpu_count(),
        "smt": smt_active(),
        "governor": governor(),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_available_bytes": limits.available_bytes(),
        "load_1min": round(os.getloadavg()[0], 2),
        "virtualised": virtualised(),
        "os": _os_name(),
        "kernel": platform.release(),
        "root": os.geteuid() == 0,
        "kvm": kvm_problem() or "can be opened",
        "qemu": qemu_version(qemu_binary),
        "python": platform.python_version(),
        "pageferry": version_of("pageferry"),
    }
    return facts | {name.replace(".", "_"): version_of(name) for name in _LIBRARIES}


def facts_of_pair(source: Host, destination: Host, qemu: str) -> dict[str, Scalar]:
    """Of both, and what a guest with the source's processor would miss at the other."""
    return {
        **_facts_of("source", source, qemu),
        **_facts_of("destination", destination, qemu),
        "destination_cpu_lacks": lacking(source.call(cpu_flags), destination.call(cpu_flags)),
    }


def _facts_of(side: str, host: Host, qemu: str) -> dict[str, Scalar]:
    """Of another machine: what decides a result, and what its clock is ahead of ours."""
    found, clock = host.call(about_machine, qemu), host.clock_offset()
    told = {f"{side}_{name}": found.get(name) for name in _FACTS}
    return {**told, f"{side}_clock_ahead_s": clock.seconds, f"{side}_clock_error_s": clock.error_s}


def cpu_model(root: Path = _ROOT) -> str | None:
    """The processor's name as the kernel gives it."""
    for line in (_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return None


def cpu_flags() -> list[str]:
    """The features of the first processor, by the kernel's names; what another host may be asked."""
    for line in (_text(_ROOT / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return sorted(value.split())
    return []


def lacking(near: Iterable[str], far: Iterable[str]) -> str:
    """What only the first has: ``avx512f, pku``; of many the first few, and how many more."""
    only = sorted(set(near) - set(far))
    more = f" and {len(only) - _MOST_NAMED} more" if len(only) > _MOST_NAMED else ""
    return ", ".join(only[:_MOST_NAMED]) + more


def governor(root: Path = _ROOT) -> str | None:
    """The CPU frequency governor, or governors; None where the kernel scales no frequency (most virtual machines)."""
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    names = dict.fromkeys(name for name in map(_text, files) if name)
    return ", ".join(names) or None


def smt_active(root: Path = _ROOT) -> bool | None:
    """Whether two hardware threads share a core; None where the kernel does not say."""
    text = _text(root / "sys/devices/system/cpu/smt/active")
    return None if text is None else text == "1"


def virtualised(root: Path = _ROOT) -> str:
    """``"no"``, or what this machine is: a virtual machine, a container, a container in a virtual machine."""
    words = []
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        words.append("container")
    if " hypervisor" in (_text(root / "proc/cpuinfo") or ""):
        vendor = _text(root / "sys/class/dmi/id/sys_vendor")
        words.append(f"virtual machine ({vendor})" if vendor else "virtual machine")
    return " in a ".join(words) or "no"


def kvm_problem(device: Path = _KVM) -> str | None:
    """Why the KVM device cannot be opened, or None. That a guest boots on it, only a guest can show."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as exc:
        return f"{device}: {exc.strerror}"
    return None


def qemu_version(binary: str) -> str | None:
    """``QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`` without its first words; None if it does not run."""
    path = shutil.which(binary)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    line = done.stdout.partition("\n")[0]
    return line.removeprefix("QEMU emulator version ") or None


def _os_name() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def version_of(distribution: str) -> str | None:
    """Of a distribution that is installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\n\0")
    except OSError:
        return None
