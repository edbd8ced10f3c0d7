"""The doubt of which we have the sentence alone."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.doubt import Doubt


@dataclass(frozen=True, slots=True)
class Said(Doubt):
    """A sentence alone: of a file from before doubts had kinds, or of a kind that we do not know."""

    kind = "said"
    subject = "unknown"
    text: str
    method: str | None = None

    def _words(self) -> str:
        return self.text
