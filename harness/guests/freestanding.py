"""Compiles the programs that we put into guests: no library, and the same bytes from the same compiler."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import MissingError, PageferryError

COMPILER_MAJOR = 12
"""The gcc of the committed programs: Debian 12's 12.2.0, with binutils 2.40."""

_FLAGS = (
    *("-m64", "-march=x86-64", "-mtune=generic", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"),
    *("-ffreestanding", "-fno-pic", "-no-pie", "-fno-stack-protector", "-fcf-protection=none"),
    *("-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-s"),
    *("-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,max-page-size=4096"),
)


def compiler_major() -> int | None:
    """gcc's major version, or None where there is no gcc."""
    try:
        text = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.match(r"\d+", text)
    return int(match[0]) if match else None


def compile_elf(output: Path, folder: Path, sources: Sequence[str], flags: Sequence[str] = ()) -> None:
    """Compile and link ``sources`` in ``folder``. :raises MissingError: no gcc. :raises PageferryError: with gcc's own words."""
    # Relative names in a fixed order from a fixed place: nothing of this machine gets into the file.
    command = ["gcc", *_FLAGS, *flags, "-o", str(output.resolve()), *sources]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise MissingError("gcc: not found; install gcc and binutils to build what runs in guests") from exc
    if done.returncode:
        raise PageferryError(f"{folder}: gcc ended with {done.returncode}: {done.stderr.strip()}")
    output.chmod(0o644)
