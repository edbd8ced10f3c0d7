"""Builds ``stress.elf`` from ``src/``: ``python -m harness.guests.stress.build [FILE]``. Same compiler, same bytes."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.guests.freestanding import compile_elf

_SOURCES = ("boot.S", "machine.c", "text.c", "pages.c", "main.c")
_FLAGS = ("-mcmodel=small", "-mgeneral-regs-only", "-mno-red-zone", "-Wl,-T,stress.ld")
_HERE = Path(__file__).parent


def build(output: Path) -> None:
    """As ``compile_elf``."""
    compile_elf(output, _HERE / "src", _SOURCES, _FLAGS)


def main(arguments: list[str]) -> None:
    """Build to the named file, or over the committed one."""
    build(Path(arguments[0]) if arguments else _HERE / "stress.elf")


if __name__ == "__main__":
    main(sys.argv[1:])
