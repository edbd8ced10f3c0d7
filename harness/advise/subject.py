"""The guest that ``pageferry advise`` is asked about: from its name on the command line to what the model and the replays need.

A guest of a scenario is replayed as a generated stream of such a guest, never larger than ``MOST_BYTES``; of a recorded stream
that is longer its beginning is. What is measured are rates and ratios, for which the rest need not be sent. Runs nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import scenarios
from harness.errors import ScenarioError, UserError
from harness.guests.streamed import RecordedSettings, SyntheticSettings
from harness.results.model import Guest
from harness.scenario.kinds import GuestSettings
from harness.scenario.model import Scenario, load_scenario
from harness.streams.memory.pagegen import PAGE_BYTES
from harness.streams.memory.settings import MemorySettings
from harness.streams.streamfile import open_stream
from harness.units import MIB, format_bytes

MOST_BYTES = 256 * MIB
_ZERO_RECORD_BYTES, _PAGE_RECORD_BYTES = 9, 8 + PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Subject:
    """``name``: in words. ``settings``: what to replay. ``dirty_bytes_per_s``: None where nobody said. ``notes``: how what is
    replayed differs."""

    name: str
    guest: Guest
    settings: GuestSettings
    dirty_bytes_per_s: int | None
    downtime_limit_s: float | None
    notes: tuple[str, ...] = ()


def read_subject(text: str, dirty_bytes_per_s: int | None) -> Subject:
    """Of a scenario's name, a scenario file, (any other file) a recorded stream, or the name of one of our recordings.

    :raises ScenarioError: no such scenario, or it is wrong. :raises UserError: the file is no stream.
    """
    path = Path(text)
    if path.is_file() and path.suffix != ".toml":
        part = RecordedSettings(path=str(path.absolute()))
        return _of_stream(part, dirty_bytes_per_s, None)
    if text in scenarios.recording_names() and text not in scenarios.names():
        return _of_stream(RecordedSettings(stream=text), dirty_bytes_per_s, None)
    try:
        scenario = load_scenario(text)
    except ScenarioError as exc:
        if path.suffix == ".toml" or path.exists():
            raise
        raise ScenarioError(f"{exc}; a recorded stream is named by its file, and there is none of this name") from exc
    if isinstance(scenario.guest, RecordedSettings):
        found = _of_stream(scenario.guest, dirty_bytes_per_s, scenario.downtime_limit_s)
    elif isinstance(scenario.guest, MemorySettings):
        found = _of_guest(text, scenario.guest, scenario.downtime_limit_s, dirty_bytes_per_s)
    else:
        raise UserError(
            f"{text}: a guest of kind {scenario.guest.kind!r} cannot be replayed; record its stream, and name that"
        )
    return replace(found, notes=(*found.notes, *_of_link(scenario)))


def _of_link(scenario: Scenario) -> Iterator[str]:
    """What of the scenario's link is not in the question, which has a bandwidth alone."""
    if scenario.link.delay_s or scenario.link.jitter_s or getattr(scenario.link, "loss", 0.0):
        yield "The model's link has no delay, jitter or loss; what this scenario's link has of them is not in it."


def _of_stream(part: RecordedSettings, dirty_bytes_per_s: int | None, downtime_limit_s: float | None) -> Subject:
    stream = open_stream(part.file)
    guest = Guest(stream.stream_bytes, stream.stream_bytes, dirty_bytes_per_s or 0)
    words = f"{stream.origin or f'recorded stream {part.file.name}'}, {format_bytes(stream.stream_bytes)}"
    notes = []
    if stream.stream_bytes > MOST_BYTES:
        notes.append(
            f"Measured on the first {format_bytes(MOST_BYTES)} of the stream; the rest may compress differently."
        )
    if dirty_bytes_per_s is not None:
        notes.append("A stream does not tell its guest's working set: all of it is taken to be dirtied in turn.")
    return Subject(words, guest, part, dirty_bytes_per_s, downtime_limit_s, tuple(notes))


def _of_guest(name: str, whole: MemorySettings, downtime_limit_s: float, dirty_bytes_per_s: int | None) -> Subject:
    rate = whole.dirty_rate_bytes_per_s if dirty_bytes_per_s is None else dirty_bytes_per_s
    zero = whole.fill.get("zero", 0.0)
    first_pass_bytes = whole.memory_bytes / PAGE_BYTES * (zero * _ZERO_RECORD_BYTES + (1 - zero) * _PAGE_RECORD_BYTES)
    common = {name: getattr(whole, name) for name in MemorySettings.model_fields}
    part = SyntheticSettings(**common | {"kind": "synthetic", "dirty_rate_bytes_per_s": rate})
    smaller = f"Measured on a guest of {format_bytes(MOST_BYTES)} with such pages; a long window finds more in a larger guest."
    return Subject(
        f"{name}: {format_bytes(whole.memory_bytes)}, working set {format_bytes(whole.working_set_bytes)}",
        Guest(first_pass_bytes, whole.working_set_bytes, rate),
        part,
        rate,
        downtime_limit_s,
        (smaller,) if whole.memory_bytes > MOST_BYTES else (),
    )


def whole_pages(count: float) -> int:
    """The bytes of the whole pages in ``count`` bytes."""
    return int(count) // PAGE_BYTES * PAGE_BYTES
