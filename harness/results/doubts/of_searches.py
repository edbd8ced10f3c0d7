"""Doubts about a search for the bound at which a method still converges."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt
from harness.results.search import value_text


@dataclass(frozen=True, slots=True)
class Unsettled(Doubt):
    """A search that did not end as it should."""

    kind = "unsettled"
    subject = "search"
    method: str
    search: str
    why: str

    def _words(self) -> str:
        return f"{self.search.replace('_', ' ')}: {self.why}."


@dataclass(frozen=True, slots=True)
class GuestLimited(Doubt):
    """The guest, not the method, ended a search. ``value``: of what was searched, in its base unit."""

    kind = "guest_limited"
    subject = "guest"
    weight = "explains"
    method: str
    search: str
    value: float

    def _words(self) -> str:
        at = f"{self.search.replace('_', ' ')} of {value_text(self.search, self.value)}"
        return f"at a {at} the guest wrote less than it was asked to, so the method itself may converge beyond its bracket."
