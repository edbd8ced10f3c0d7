"""The folder of one run of the command: OUT/RUN-ID, new for each, so that no older file is ever touched.

OUT/latest leads to the newest that has a finished run. A run that ends before it has one leaves no folder.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.experiment.events import Event, RunFinished
from harness.experiment.identity import collect
from harness.experiment.outputs import held, told
from harness.results.identity import LATEST, Identity
from harness.results.result import Result, load_result
from harness.scenario.model import Scenario

_RESULT = "result.json"
_MOST_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Part:
    """A scenario, and where its result is, or will be."""

    scenario: Scenario
    folder: Path

    @property
    def result(self) -> Path:
        """Its file."""
        return self.folder / _RESULT


@dataclass(frozen=True, slots=True)
class Campaign:
    """One run of the command. ``folder``: new, or that which is gone on with; ``resumed``: an earlier command began it."""

    folder: Path
    identity: Identity
    parts: tuple[Part, ...]
    resumed: bool = False

    def is_used(self) -> bool:
        """Whether any result is in it."""
        return any(self.has_runs(part) for part in self.parts)

    def has_runs(self, part: Part) -> bool:
        """Whether any of its runs has finished."""
        return part.result.is_file() and bool(load_result(part.result).runs)

    def noting(self, on_event: Callable[[Event], None]) -> Callable[[Event], None]:
        """``on_event``, and OUT/latest leads here from the first run that finishes on."""

        def take(event: Event) -> None:
            if isinstance(event, RunFinished):
                self._point()
            on_event(event)

        return take

    def _point(self) -> None:
        link = self.folder.parent / LATEST
        if link.is_symlink() and link.readlink() == Path(self.folder.name):
            return
        with told(link):
            if link.exists() and not link.is_symlink():
                raise UserError(
                    f"{link}: is no link, and a link to the newest run belongs there: move it, or choose another --out"
                )
            temporary = link.with_name(f".{LATEST}-{self.identity.run_id}")
            temporary.symlink_to(self.folder.name, target_is_directory=True)
            temporary.replace(link)


def new_campaign(out: Path, scenarios: Mapping[str, Scenario], tags: Sequence[str] = ()) -> Campaign:
    """A run that begins now; ``scenarios``: by their folders in its own, "" for itself. :raises UserError: a tag is none."""
    identity = collect(tags)
    folder = out / identity.run_id
    return Campaign(folder, identity, _parts(folder, scenarios))


def resumed_campaign(out: Path, scenarios: Mapping[str, Scenario], tags: Sequence[str] = ()) -> Campaign | None:
    """The newest in ``out``; None: there is none.

    :raises UserError: it is not of these scenarios and tags, or was begun by another pageferry or on another machine.
    :raises ResultError: a result in it cannot be read.
    """
    link = out / LATEST
    if not link.is_dir():
        return None
    folder, now = out / link.resolve().name, collect(tags)
    parts = _parts(folder, scenarios)
    there = {path.parent for path in (*folder.glob(_RESULT), *folder.glob(f"*/{_RESULT}"))}
    if others := sorted(path.name for path in there - {part.folder for part in parts}):
        words = "ask for all that it was begun with, or leave --resume out"
        raise UserError(f"--resume: {folder} has {', '.join(others)}, which is not asked for: {words}")
    begun = [_begun(part, now) for part in parts if part.result.is_file()]
    return Campaign(folder, begun[0], parts, resumed=True) if begun else None


@contextlib.contextmanager
def opened(campaign: Campaign) -> Iterator[None]:
    """Its folder, held against other processes. What no run has finished in is gone afterwards.

    :raises UserError: another process fills it. :raises ResultError: disk full, no access.
    """
    with held(campaign.folder):
        try:
            yield
        finally:
            with told(campaign.folder):
                for part in campaign.parts:
                    if not campaign.has_runs(part):
                        shutil.rmtree(part.folder, ignore_errors=True)
                if not campaign.is_used():
                    shutil.rmtree(campaign.folder, ignore_errors=True)


def saved_result(scenario: Scenario, path: Path) -> Result:
    """What is in ``path``, to go on with. :raises UserError: it is of other settings. :raises ResultError: it cannot be read."""
    result = load_result(path)
    if (other := _difference(result.scenario, scenario.told())) is not None:
        raise UserError(f"{path}: --resume: {other}: give the settings that it was begun with, or leave --resume out")
    return result


def went_wrong(result: Result) -> bool:
    """A run that neither completed nor was skipped, or whose memory did not arrive. In a search a timeout is a finding."""
    return any(
        run.status == "failed" or (run.status == "timeout" and run.attempt is None) or run.verified is False
        for run in result.runs
    )


def _parts(folder: Path, scenarios: Mapping[str, Scenario]) -> tuple[Part, ...]:
    return tuple(Part(scenario, folder / name) for name, scenario in scenarios.items())


def _begun(part: Part, now: Identity) -> Identity:
    """Whose the result of ``part`` is. :raises UserError: not such a run's as ``now`` is."""
    then = saved_result(part.scenario, part.result).identity
    if then is None:
        raise UserError(f"{part.result}: --resume: it does not say which run made it: leave --resume out")
    for what in ("machine_id", "version", "commit", "tags"):
        before, given = getattr(then, what), getattr(now, what)
        if before != given and (what != "tags" or given):
            before, given = (", ".join(each) if what == "tags" else each for each in (before, given))
            raise UserError(f"{part.result}: --resume: {what} was {before}, and is {given} now: leave --resume out")
    return then


def _difference(then: object, now: object, place: str = "") -> str | None:
    """The first, as ``repeats was 3, and is 5 now``."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        both = ((key, then.get(key), now.get(key)) for key in {**then, **now})
        inner = (_difference(before, after, f"{place}.{key}".lstrip(".")) for key, before, after in both)
        return next(filter(None, inner), None)
    return None if then == now else f"{place} was {_short(then)}, and is {_short(now)} now"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
