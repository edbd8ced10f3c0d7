"""What the runner tells of a scenario while it runs. Whoever shows progress subscribes; the runner knows nobody."""

from __future__ import annotations

from dataclasses import dataclass

from harness.results.result import Run


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something that takes long before the first run begins, ``what`` in a sentence."""

    what: str


@dataclass(frozen=True, slots=True)
class LabOpened:
    """What runs are made with is known. ``conditions``: what of it a reader of the figures must know, in sentences."""

    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, set-up included. ``index`` counts from 1 to ``total`` over all methods, repeats and warm-ups.

    ``tried``: what a search tries with it, in words; its ``total`` is then a guess.
    """

    method: str
    repeat: int
    index: int
    total: int
    warmup: bool
    tried: str = ""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A look at the migration in progress. ``elapsed_s`` counts from the ``migrate`` command; None is "not known"."""

    method: str
    elapsed_s: float
    passes: int | None = None
    wire_bytes: int | None = None
    wire_bytes_per_s: float | None = None
    stream_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended, one way or another; ``run.status`` says which."""

    run: Run


Event = Preparing | LabOpened | RunStarted | RunProgress | RunFinished
