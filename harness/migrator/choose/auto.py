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
from harness.migrator.spec import Spec, parse_spec

AUTO = BackendInfo(name="auto", options=("candidates", "cpu_limit"))

_MB = 1e6
_UNKNOWN = (300.0, 800.0, 2.8)
_PRIORS: Mapping[Spec, tuple[float, float, float]] = {
    # Compressing and restoring, MB/s of one thread's CPU time, and ratio: geometric means of the recordings that come with
    # pageferry, in batches of 1 MiB, each the shortest of 4 rounds in turn, beside other work (2-core Intel Xeon, 2026-11-28;
    # histories: by themselves, 2026-11-29, over 1.33, as zstd 1 was so many times as fast then). They
    # order the candidates until batches have been measured. Histories save 0 (idle, build) to 27 % (Redis) of zstd's bytes at their
    # level, so that theirs is the least certain. No level: the one by default.
    Spec("none", None): (8000, 8000, 1.0),
    Spec("lz4", None): (514, 1650, 2.63),
    Spec("isal", 1): (373, 500, 3.55),
    Spec("zstd", 1): (343, 860, 3.78),
    Spec("zstd", 3): (211, 810, 4.1),
    Spec("zstd", 6): (73, 815, 4.3),
    Spec("zstd-long", 2): (200, 815, 4.35),
    Spec("zstd-long", 3): (158, 815, 4.5),
    # Level 6 sends 4 to 5 % less than 3, at a rate at which the link waits for it: at 50, 100 and 200 Mbit/s it took 1.6 % less, 2
    # and 20 % more time (replays of the same recordings, 2-core Intel Xeon, 2026-11-29, n=3); live at 100 Mbit/s 8 % more.
}

CANDIDATES = tuple(_PRIORS)
"""All that is known well enough to be chosen without being named; "none" is the first."""


@dataclass(frozen=True, slots=True)
class Candidate(Spec):
    """Rates, as known beforehand, are raw bytes per second of CPU time; ``history``: it keeps one."""

    compress_bytes_per_s: float
    decompress_bytes_per_s: float
    ratio: float
    history: bool = False


def candidates(options: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """What may be chosen here: those named in ``options["candidates"]`` (comma-separated), or all that are known; "none" always.

    :raises UserError: a wrong name or level. :raises MissingError: one that was named cannot work here.
    """
    named = options.get("candidates")
    if named is not None and not isinstance(named, str):
        raise UserError(f"option candidates = {named!r}: must be text such as 'lz4:0,isal:1,zstd:1'")
    texts = map(str, CANDIDATES) if named is None else ["none", *filter(None, map(str.strip, named.split(",")))]
    found = []
    for text in dict.fromkeys(texts):
        try:
            found.append(_candidate(text))
        except BackendUnavailable as exc:
            if named is not None:
                raise MissingError(str(exc)) from exc
    return tuple(found)


def _candidate(text: str) -> Candidate:
    """:raises UserError: a wrong name or level. :raises BackendUnavailable: not here."""
    try:
        spec = parse_spec(text)
        cls = registry.load(spec.backend)
    except BackendError as exc:
        raise UserError(f"candidate {text!r}: {exc}; write for example isal:1") from exc
    if cls.info.device != "cpu":
        raise UserError(
            f"candidate {text!r}: a device, which needs a fallback: name it as backend, or write for example isal:1"
        )
    cls.probe()
    as_usual = Spec(spec.backend, None) if spec.level == cls.info.default_level else spec
    compress, decompress, ratio = _PRIORS.get(spec) or _PRIORS.get(as_usual, _UNKNOWN)
    return Candidate(spec.backend, spec.level, compress * _MB, decompress * _MB, ratio, history=cls.info.stateful)
