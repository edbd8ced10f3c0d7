"""What every doubt about a figure has: a kind, a subject, a weight and a sentence. The kinds stand in ``doubts``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Subject = Literal["result", "method", "run", "metric", "search", "guest", "pair", "clock", "unknown"]
Weight = Literal["invalidates", "weakens", "explains"]
"""A figure is not what its name says; it is less sure than it looks; it is right, and this is why it looks as it does."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A kind's name never changes: files hold it."""

    kind: ClassVar[str]
    subject: ClassVar[Subject]
    weight: ClassVar[Weight] = "weakens"

    @property
    def words(self) -> str:
        """The sentence without the method's name before it."""
        return self._words()

    def _words(self) -> str:
        raise NotImplementedError

    @property
    def of_method(self) -> str | None:
        """Of a result's own doubts: the method, where it is about one. A run's doubts are about that run."""
        return getattr(self, "method", None)

    @property
    def sentence(self) -> str:
        """What a reader is told, whole."""
        return self.words if self.of_method is None else f"{self.of_method}: {self.words}"
