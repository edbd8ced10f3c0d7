"""What ``backend = "auto"`` may choose from: ``BACKEND[:LEVEL]`` names, and what is known of each before a migration tells better.

Decides nothing (``migrator.policy`` does), and compresses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends import registry
from backends.api import BackendError, BackendInfo, BackendUnavailable
from harness.errors import MissingError, UserError

__all__ = ["AUTO", "Candidate", "candidates"]

AUTO = BackendInfo(name="auto", options=("candidates", "cpu_limit"))

_MB = 1e6
_PRIORS: Mapping[str, tuple[float, float, float]] = {
    # Compressing and restoring, MB/s of one thread's CPU time, and ratio: replays of 256 MiB of mixed memory at 1 and 2.5 Gbit/s
    # (2-core Intel Xeon, 2026-11-25, n=4; CPU time hardly differed between them); zstd-long's once its
    # window is filled (95 MB of a live guest's stream, 2026-11-26, n=3). They order the candidates until batches have
    # been measured.
    "none": (8000, 8000, 1.0),
    "lz4:0": (640, 2250, 2.5),
    "isal:1": (575, 650, 2.7),
    "zstd:1": (490, 1400, 3.15),
    "zstd:3": (365, 1450, 3.3),
    "zstd:6": (130, 1550, 3.4),
    "zstd-long:1": (260, 1000, 4.8),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend and level. Rates, as known beforehand, are raw bytes per second of CPU time; ``history``: it keeps one."""

    backend: str
    level: int | None
    compress_bytes_per_s: float
    decompress_bytes_per_s: float
    ratio: float
    history: bool = False

    def __str__(self) -> str:
        """As it is written in a scenario."""
        return self.backend if self.level is None else f"{self.backend}:{self.level}"


def candidates(options: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """What may be chosen here: those named in ``options["candidates"]`` (comma-separated), or all that are known; "none" always.

    :raises UserError: a wrong name or level. :raises MissingError: one that was named cannot work here.
    """
    named = options.get("candidates")
    if named is None:
        texts = list(_PRIORS)
    elif isinstance(named, str):
        texts = list(dict.fromkeys(["none", *(text.strip() for text in named.split(",") if text.strip())]))
    else:
        raise UserError(f"option candidates = {named!r}: must be text such as 'lz4:0,isal:1,zstd:1'")
    found = []
    for text in texts:
        try:
            found.append(_candidate(text))
        except BackendUnavailable as exc:
            if named is not None:
                raise MissingError(str(exc)) from exc
    return tuple(found)


def _candidate(text: str) -> Candidate:
    """:raises UserError: a wrong name or level. :raises BackendUnavailable: not here."""
    name, colon, digits = text.partition(":")
    try:
        cls = registry.load(name)
        if cls.info.device != "cpu":
            raise UserError(
                f"candidate {text!r}: a device, which needs a fallback: name it as backend, or write for example isal:1"
            )
        cls.probe()
        level = cls(int(digits) if colon else None).level
    except BackendUnavailable:
        raise
    except (BackendError, ValueError) as exc:
        raise UserError(f"candidate {text!r}: {exc}; write for example isal:1") from exc
    prior = _PRIORS.get(f"{name}:{level}" if level is not None else name, (300, 800, 2.8))
    compress, decompress, ratio = prior
    return Candidate(name, level, compress * _MB, decompress * _MB, ratio, history=cls.info.stateful)
