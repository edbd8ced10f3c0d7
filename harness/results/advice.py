"""What ``pageferry advise`` found: plain data with units, and its JSON. Schema 1: fields are added, never renamed.

Knows nothing of how it is measured or concluded. "No limit" is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.results.document import Document, Scalar
from harness.results.model import Cost, Link

__all__ = [
    "BEYOND_LIMIT_S",
    "SCHEMA",
    "Advice",
    "Bandwidth",
    "Estimate",
    "MethodAdvice",
    "Question",
    "dump_advice",
    "save_advice",
]

SCHEMA = 1
BEYOND_LIMIT_S = 0.1
"""What STOP to RESUME takes beyond the downtime limit at most: bytes in flight, device state, resuming. Of 198 live migrations
through the pair at 300 Mbit/s and 1 Gbit/s none took more than 52 ms beyond it, of a few at 100 Mbit/s one 81 ms (512 MiB,
limits of 100 and 300 ms, QEMU 7.2, 2-core Intel Xeon, 2026-11-25).
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval: of what each repeat gives, as a median's is made. ``high`` None: without an end."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A bandwidth in bytes a second with its interval. None: above every link; 0: below every link."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. ``guest`` in words; ``stream_bytes`` of a first pass over its memory (or of the whole recorded stream).

    ``dirty_bytes_per_s``: None where it was not told, so that nothing is said of convergence. ``cores``: measured on.
    """

    guest: str
    stream_bytes: int
    bandwidth_bytes_per_s: int | None
    cores: int
    downtime_limit_s: float
    dirty_bytes_per_s: int | None = None
    working_set_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MethodAdvice:
    """One method: what was measured of it over ``n`` replays without a link limit, and what follows for the asked link.

    ``cost``: the model's, of the medians. ``ratio``: stream over wire bytes. ``pair_bytes_per_s``: stream bytes a second, both
    halves on the same cores;
    ``apart_bytes_per_s``: the most that halves on two hosts could reach by their CPU time. ``total_time_s`` is None where the
    guest would never fit into the downtime limit. ``break_even``: above it, no compression is faster; None for ``none`` itself.
    """

    method: str
    backend: str
    level: int | None
    n: int
    cost: Cost
    ratio: Estimate
    pair_bytes_per_s: Estimate
    apart_bytes_per_s: float
    sender_cpu_s_per_gib: float
    receiver_cpu_s_per_gib: float
    delivered_bytes_per_s: Estimate
    total_time_s: Estimate | None
    passes: int
    downtime_least_s: float
    downtime_most_s: float
    break_even: Bandwidth | None

    @property
    def converges(self) -> bool:
        """Whether the guest fits into the downtime limit at last."""
        return self.total_time_s is not None


@dataclass(frozen=True, slots=True)
class Advice:
    """The whole. ``recommended`` is a method's name; ``because`` says why in sentences; ``notes`` what to doubt.

    ``commands`` are pageferry's own, ``qemu`` QEMU's settings where its own methods come near (``qemu_why`` says how near).
    ``link``: as the model takes it. ``missing``: method -> why it could not be measured here.
    """

    question: Question
    link: Link
    recommended: str
    because: tuple[str, ...]
    methods: tuple[MethodAdvice, ...]
    commands: tuple[str, ...]
    qemu: tuple[str, ...] = ()
    qemu_why: str = ""
    notes: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    schema: int = SCHEMA

    def method(self, name: str) -> MethodAdvice:
        """The method of that name. :raises KeyError: there is none."""
        for method in self.methods:
            if method.method == name:
                return method
        raise KeyError(name)


_DOCUMENT = Document(Advice, "advice", SCHEMA)
dump_advice, save_advice = _DOCUMENT.dump, _DOCUMENT.save
