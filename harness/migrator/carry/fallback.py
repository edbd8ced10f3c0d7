"""What compresses a batch when its backend's device fails: ``BACKEND[:LEVEL]``, or ``never``. Compresses nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

from backends import registry
from backends.api import BackendError, BackendInfo
from harness.errors import UserError

__all__ = ["NEVER", "Fallback", "choose_fallback"]

NEVER = "never"
_FOR_DEVICES = "isal:1"
"""Nearest to a deflate card in ratio, and as fast on a core as any deflate."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """A backend on this host's CPU and its level."""

    backend: str
    level: int | None

    def __str__(self) -> str:
        """As it is written in a scenario."""
        return self.backend if self.level is None else f"{self.backend}:{self.level}"


def choose_fallback(info: BackendInfo, text: str | None) -> Fallback | None:
    """The fallback of a backend; None: its failure ends the migration (and the source guest runs on).

    ``text`` None: isal 1 for a device, none for a codec that runs on the CPU anyway.

    :raises UserError: an unknown backend or level, or one that is a device itself.
    """
    if text is None:
        text = NEVER if info.device == "cpu" else _FOR_DEVICES
    if text == NEVER:
        return None
    name, colon, digits = text.partition(":")
    try:
        chosen = registry.load(name).info
        level = int(digits) if colon else chosen.default_level
    except ValueError as exc:
        raise UserError(
            f"fallback {text!r}: {digits!r} is no level; write for example {_FOR_DEVICES}, or never"
        ) from exc
    except BackendError as exc:
        raise UserError(f"fallback {text!r}: {exc}; write for example {_FOR_DEVICES}, or never") from exc
    low, high = chosen.levels or (0, -1)
    if colon and not low <= int(digits) <= high:
        raise UserError(f"fallback {text!r}: backend {name!r} has {_levels(chosen)}; write for example {_FOR_DEVICES}")
    if chosen.device != "cpu" or name in ("none", info.name):
        raise UserError(
            f"fallback {text!r}: must be another codec that runs on the CPU; write for example {_FOR_DEVICES}"
        )
    return Fallback(name, level)


def _levels(info: BackendInfo) -> str:
    return "no levels" if info.levels is None else f"levels {info.levels[0]} to {info.levels[1]}"
