"""QEMUs of several versions and targets, fetched from Debian with apt and unpacked into the cache: nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.results.cache import cache_dir

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = {"7.2": "bookworm", "10.0": "bookworm-backports"}
"""By QEMU's version. Both are built for Debian 12, whose libraries they need."""
SHARED = (
    "qemu-system-x86", "qemu-system-arm", "qemu-system-ppc", "qemu-system-common", "qemu-system-data", "seabios",
)  # fmt: skip
S390X = {"7.2": "qemu-system-misc", "10.0": "qemu-system-s390x"}


@dataclass(frozen=True)
class Build:
    """``root``: where it lies; None: it is the installed one."""

    version: str
    root: Path | None = None

    @property
    def shared(self) -> Path:
        """Where data of all programs lies."""
        return (self.root or Path("/")) / "usr/share"

    def command(self, target: str) -> list[str]:
        program = f"qemu-system-{target}"
        if self.root is None:
            return [program]
        places = [self.shared / name for name in ("qemu", "seabios")]
        modules = f"QEMU_MODULE_DIR={self.root}/usr/lib/x86_64-linux-gnu/qemu"
        return [
            "env",
            modules,
            str(self.root / "usr/bin" / program),
            *(word for folder in places for word in ("-L", str(folder))),
        ]


INSTALLED = Build("7.2")


def unpacked(version: str) -> Build:
    """Fetched once; apt checks Debian's signatures. :raises subprocess.CalledProcessError: apt cannot."""
    root = cache_dir() / "qemu" / version
    if not root.exists():
        making = root.with_name(f"{version}.{os.getpid()}")
        try:
            _fetch(SUITES[version], (*SHARED, S390X[version]), making)
            making.rename(root)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return Build(version, root)


def _fetch(suite: str, packages: tuple[str, ...], root: Path) -> None:
    apt = root / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    source = apt / "sources.list"
    source.write_text(f"deb [signed-by={KEYS}] http://deb.debian.org/debian {suite} main\n")
    told = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in told.items() for word in ("-o", f"{name}={value}")]
    for words in (["update"], ["download", *(f"{name}/{suite}" for name in packages)]):
        subprocess.run(["apt-get", "-qq", *options, *words], cwd=apt, check=True)
    for file in apt.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(file), str(root)], check=True)
    shutil.rmtree(apt)
