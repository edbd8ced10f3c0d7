"""What a check is, and what it works with. Knows no particular check, and not how one is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backends import registry
from backends.api import Backend, BackendInfo
from backends.conformance import Rig


@dataclass(frozen=True, slots=True)
class Value:
    """A measured value. Its name is that of its threshold, if it has one."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a check saw: a sentence, values that thresholds may judge, and rows for charts."""

    evidence: str
    values: tuple[Value, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


class Failed(Exception):  # noqa: N818 - a verdict on the backend, not a fault of this program
    """The backend did not pass; the message is the evidence. What was measured before may come along."""

    def __init__(self, evidence: str, values: tuple[Value, ...] = ()) -> None:
        super().__init__(evidence)
        self.values = values


class NotApplicable(Exception):  # noqa: N818 - a verdict too
    """There is nothing to check, or nothing to check it with; the message says which."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is qualified, and how. Plain data: it crosses to the process that the check runs in."""

    backend: str
    level: int | None
    options: Mapping[str, Any]
    backend_class: str = "software"
    profile: str = "quick"
    soak_s: float = 4.0


class Bench:
    """What a check works with."""

    def __init__(self, job: Job) -> None:
        """:raises BackendError: nobody claims the name."""
        self.job = job
        self.cls: type[Backend] = registry.load(job.backend)
        self.info: BackendInfo = self.cls.info

    @property
    def quick(self) -> bool:
        """The profile of at most three minutes."""
        return self.job.profile == "quick"

    def make(self) -> Backend:
        """A new instance with the job's level and options, its device not opened."""
        return self.cls(self.job.level, **self.job.options)

    @contextmanager
    def opened(self) -> Iterator[Backend]:
        """A new instance, its device open; closed at the end."""
        instance = self.make()
        try:
            instance.open()
            yield instance
        finally:
            instance.close()

    @contextmanager
    def rig(self) -> Iterator[Rig]:
        """The bench of the conformance rules."""
        rig = Rig(self.cls, self.job.level, self.job.options)
        try:
            yield rig
        finally:
            rig.close()


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Its group is the id up to the dot. ``limit_s`` is for ``quick``; ``full`` has ten times as much.

    ``alone``: in a process that no other check has used.
    """

    id: str
    title: str
    reason: str
    run: Callable[[Bench], Found]
    limit_s: float = 60.0
    alone: bool = False

    @property
    def group(self) -> str:
        """What it is listed under."""
        return self.id.partition(".")[0]


def check(
    checks: list[Check], check_id: str, title: str, reason: str, *, limit_s: float = 60.0, alone: bool = False
) -> Callable[[Callable[[Bench], Found]], Callable[[Bench], Found]]:
    """Add the function below it to ``checks``."""

    def add(run: Callable[[Bench], Found]) -> Callable[[Bench], Found]:
        checks.append(Check(check_id, title, reason, run, limit_s, alone))
        return run

    return add
