"""Doubts that the pair has about its own part of a run."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt
from harness.units import format_duration, format_rate


@dataclass(frozen=True, slots=True)
class SteeringEnded(Doubt):
    """The source QEMU was no longer told what to believe of the link."""

    kind = "steering_ended"
    subject = "pair"
    why: str

    def _words(self) -> str:
        return f"steering ended before the migration did: {self.why}"


@dataclass(frozen=True, slots=True)
class NoPassShorter(Doubt):
    """The guest wrote as fast as its memory was carried. It was stopped all the same, where QEMU alone would have gone on."""

    kind = "no_pass_shorter"
    subject = "guest"
    weight = "explains"
    passes: int
    predicted_s: float
    limit_s: float
    rate_bytes_per_s: float

    def _words(self) -> str:
        return (
            f"the guest wrote as fast as its memory was carried ({format_rate(self.rate_bytes_per_s)}), so that no pass got "
            f"shorter; it was stopped in pass {self.passes} for about {format_duration(self.predicted_s)}, beyond QEMU's own "
            f"downtime-limit of {format_duration(self.limit_s)}, to which it would not have come"
        )


@dataclass(frozen=True, slots=True)
class Opaque(Doubt):
    """The pair carried bytes without finding pages in them."""

    kind = "opaque"
    subject = "pair"
    weight = "explains"
    why: str

    def _words(self) -> str:
        return f"the stream was carried without knowing its pages: {self.why}"


@dataclass(frozen=True, slots=True)
class PackedByQemu(Doubt):
    """QEMU's multifd compressed pages before the pair had them."""

    kind = "packed_by_qemu"
    subject = "pair"
    weight = "explains"
    method: str

    def _words(self) -> str:
        return (
            f"QEMU's multifd compressed the pages with {self.method} before the pair had them, so that it carried them as they "
            "were and gained nothing; set multifd-compression none in both QEMUs"
        )


@dataclass(frozen=True, slots=True)
class Unencrypted(Doubt):
    """The link was to be encrypted, and this method's parties speak no TLS."""

    kind = "unencrypted"
    subject = "pair"

    def _words(self) -> str:
        return "ran unencrypted: who sends and who takes a replayed stream speak no TLS; compare it with none over a plain link"


@dataclass(frozen=True, slots=True)
class Fallback(Doubt):
    """Another codec did a part of the backend's work."""

    kind = "fallback"
    subject = "pair"
    weight = "invalidates"
    fallen: int
    batches: int
    fallback: str | None
    backend: str
    why: str | None

    def _words(self) -> str:
        who = f"compressed by {self.fallback}, not by {self.backend}"
        return f"{self.fallen} of {self.batches} batches were {who}: {self.why}"
