"""The replays behind an advice: what each method costs where the link is no limit, what small batches do to its ratio, and what
the link itself takes from the cores. A minute or two in all.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from harness.advise.adviser import Measured
from harness.advise.subject import MOST_BYTES, whole_pages
from harness.errors import MissingError, UserError
from harness.experiment.events import Event
from harness.experiment.runner import run_scenario
from harness.guests.streamed import RecordedSettings
from harness.links.auto import AutoSettings
from harness.migrator.carry.policy import FlightPolicy
from harness.migrator.choose.auto import CANDIDATES
from harness.results.model import Link
from harness.results.result import Result, Run
from harness.scenario.kinds import GuestSettings
from harness.scenario.methods import Method, PairMethod
from harness.scenario.model import Scenario
from harness.streams.beginning import write_beginning
from harness.streams.memory.settings import MemorySettings
from harness.streams.streamfile import open_stream
from harness.units import MIB, format_bytes

_TIMEOUT_S = 60.0
_LINK_S, _LEAST_BYTES = 2.0, 16 * MIB
_PREFERRED_BATCH_BYTES = 1 << 20

Progress = Callable[[str], AbstractContextManager[Callable[[Event], None]]]


def measure(
    part: GuestSettings,
    *,
    bandwidth_bytes_per_s: int | None,
    cores: int,
    repeats: int,
    folder: Path,
    progress: Progress,
) -> Measured:
    """Replay ``part`` by all choices. :raises PageferryError: what ``run_scenario`` raises."""
    batch_bytes, slow_bytes_per_s = slow_batches(cores)
    with _shortened(part, MOST_BYTES) as most:
        whole = _run(_scenario(most, _methods(cores), repeats), folder, progress)
        small = _run(_scenario(most, _methods(cores, batch_bytes), 1), folder / "small-batches", progress)
    if bandwidth_bytes_per_s is None:
        return Measured(whole, small, slow_bytes_per_s, Link(None))
    size = max(_LEAST_BYTES, min(MOST_BYTES, whole_pages(bandwidth_bytes_per_s * _LINK_S)))
    with _shortened(part, size) as some:
        limited = _scenario(some, _methods(cores)[:1], repeats, bandwidth_bytes_per_s)
        over_link = _run(limited, folder / "link", progress)
    busy = max(0.0, _cpu_s_per_wire_byte(over_link) - _cpu_s_per_wire_byte(whole)) / cores
    return Measured(whole, small, slow_bytes_per_s, Link(bandwidth_bytes_per_s, busy))


def slow_batches(lanes: int) -> tuple[int, float]:
    """The smallest batches that the pair makes, and the highest rate of stream, in bytes a second, at which it still does."""

    def batch_bytes(rate: float) -> int:
        policy = FlightPolicy(_PREFERRED_BATCH_BYTES, lanes)
        for step in range(100):
            policy.delivered(step / 100, round(rate * step / 100))
        return policy.batch_bytes

    rate, smallest = 1e5, batch_bytes(1e5)
    while rate < 1e12 and batch_bytes(rate * 1.1) == smallest:
        rate *= 1.1
    return smallest, rate


def _methods(cores: int, batch_bytes: int | None = None) -> tuple[Method, ...]:
    return tuple(
        PairMethod(
            name=str(spec).replace(":", "-"),
            baseline=spec.backend == "none",
            backend=spec.backend,
            level=spec.level,
            threads=cores,
            batch=batch_bytes,
        )
        for spec in CANDIDATES
    )


def _scenario(
    guest: GuestSettings, methods: Sequence[Method], repeats: int, bandwidth_bytes_per_s: int | None = None
) -> Scenario:
    return Scenario(
        name="advise",
        description="What does each method cost?",
        repeats=repeats,
        warmups=0,
        timeout=_TIMEOUT_S,
        guest=guest,
        link=AutoSettings(bandwidth=bandwidth_bytes_per_s),
        method=tuple(methods),
    )


def _run(scenario: Scenario, folder: Path, progress: Progress) -> Result:
    with progress(folder.name) as on_event:
        return run_scenario(scenario, folder, on_event)


def _cpu_s_per_wire_byte(result: Result) -> float:
    """Of ``none``, both halves. :raises MissingError: no run of it completed."""
    runs: list[Run] = [run for run in result.runs if run.method == "none" and run.status == "completed"]
    if not runs:
        reason = next((run.reason or run.status for run in result.runs if run.method == "none"), "not run")
        raise MissingError(f"none: could not be measured, and all else is compared with it: {reason}")
    return statistics.median(run.cpu_s.total / run.wire_bytes for run in runs if run.wire_bytes)


@contextlib.contextmanager
def _shortened(part: GuestSettings, most_bytes: int) -> Iterator[GuestSettings]:
    """``part`` with at most so many bytes; the beginning of a recorded stream is a file that goes when it is left."""
    if isinstance(part, MemorySettings):
        share = min(1.0, most_bytes / part.memory_bytes)
        sizes = {"memory_bytes": part.memory_bytes, "working_set_bytes": part.working_set_bytes}
        yield part.model_copy(update={name: whole_pages(size * share) for name, size in sizes.items()})
    elif not isinstance(part, RecordedSettings):
        raise UserError(
            f"a guest of kind {part.kind!r} cannot be replayed; name a scenario whose guest we make, or a stream"
        )
    elif (stream := open_stream(part.file)).stream_bytes <= most_bytes:
        yield part
    else:
        with tempfile.TemporaryDirectory(prefix="pageferry-") as temporary:
            short = Path(temporary, stream.path.name)
            _keep_beginning(stream.path, short, most_bytes)
            yield RecordedSettings(path=str(short))


def _keep_beginning(path: Path, short: Path, most_bytes: int) -> None:
    try:
        with short.open("wb") as file:
            write_beginning(path, file, most_bytes)
    except OSError as exc:
        raise MissingError(
            f"{short}: cannot keep {format_bytes(most_bytes)} of {path}: {exc.strerror or exc}; free space, or set TMPDIR"
        ) from exc
