"""What a helper may be asked in a test; imports next to nothing, for the helper does so too."""

from __future__ import annotations

import os
import signal

from harness.errors import ResultError

__all__ = ["die", "pid", "refuse", "stumble", "text"]


def pid() -> int:
    return os.getpid()


def text() -> str:
    return "drawn"


def die() -> None:
    os.kill(os.getpid(), signal.SIGTRAP)


def refuse() -> None:
    raise ResultError("no such figure")


def stumble() -> None:
    {}["absent"]
