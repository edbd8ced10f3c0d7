"""What beats in the Linux guest. ``python -m harness.guests.linux.heart [FILE]`` builds ``heart.elf`` from ``heart.c``."""

from __future__ import annotations

from pathlib import Path

from harness.guests.freestanding import compile_elf

HEART = Path(__file__).with_name("heart.elf")


def build(output: Path) -> None:
    """As ``compile_elf``."""
    compile_elf(output, HEART.parent, ["heart.c"])
