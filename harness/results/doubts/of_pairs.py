"""Doubts that the pair has about its own part of a run."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt

__all__ = ["Fallback", "Opaque", "SteeringEnded"]


@dataclass(frozen=True, slots=True)
class SteeringEnded(Doubt):
    """The source QEMU was no longer told what to believe of the link."""

    kind = "steering_ended"
    subject = "pair"
    why: str

    def _words(self) -> str:
        return f"steering ended before the migration did: {self.why}"


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
