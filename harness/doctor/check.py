"""What one look at this machine found, what it does to results, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import PageferryError


@dataclass(frozen=True, slots=True)
class Check:
    """``found`` is the fact, ``means`` what it does to results, ``fix`` what to do about it (empty when all is well).

    ``missing`` stops something, ``warn`` makes figures doubtful. Whoever makes one raises nothing.
    """

    id: str
    title: str
    status: Literal["ok", "warn", "missing"]
    found: str
    means: str
    fix: str = ""


def told(exc: PageferryError) -> tuple[str, str]:
    """What is wrong, and the remedy behind it."""
    found, _, fix = str(exc).rpartition("; ")
    return (found, fix) if found else (fix, "fix that, and look again")
