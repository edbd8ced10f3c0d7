"""Builds ``stress.elf`` from ``src/``: ``python -m harness.guests.stress.build [FILE]``. Same compiler, same bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from harness.errors import MissingError, PageferryError

__all__ = ["COMPILER_MAJOR", "build", "compiler_major", "main"]

COMPILER_MAJOR = 12
"""The gcc of the committed ``stress.elf``: Debian 12's 12.2.0, with binutils 2.40."""

_SOURCES = ("boot.S", "machine.c", "text.c", "pages.c", "main.c")
_FLAGS = (
    *("-m64", "-march=x86-64", "-mtune=generic", "-mcmodel=small", "-mgeneral-regs-only", "-mno-red-zone"),
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-no-pie"),
    *("-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"),
    *("-nostdlib", "-static", "-s", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,max-page-size=4096"),
    "-Wl,-T,stress.ld",
)
_HERE = Path(__file__).parent


def compiler_major() -> int | None:
    """gcc's major version, or None where there is no gcc."""
    try:
        text = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.match(r"\d+", text)
    return int(match[0]) if match else None


def build(output: Path) -> None:
    """Compile and link. :raises MissingError: no gcc. :raises PageferryError: with gcc's own words."""
    # Relative names in a fixed order from a fixed place: nothing of this machine gets into the file.
    command = ["gcc", *_FLAGS, "-o", str(output.resolve()), *_SOURCES]
    try:
        done = subprocess.run(command, cwd=_HERE / "src", capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise MissingError("gcc: not found; install gcc and binutils to build the stress guest") from exc
    if done.returncode:
        raise PageferryError(f"{_HERE / 'src'}: gcc ended with {done.returncode}: {done.stderr.strip()}")
    output.chmod(0o644)


def main(arguments: list[str]) -> None:
    """Build to the named file, or over the committed one."""
    build(Path(arguments[0]) if arguments else _HERE / "stress.elf")


if __name__ == "__main__":
    main(sys.argv[1:])
