"""One replay of a recorded or generated stream by any method: a feeder for the source, a hashing sink for the destination.

Every run does equal work, so that codecs compare; there is no guest, so there is no downtime. The clock runs from the
feeder's first byte to the sink's last one, and the sink's digest must be the stream's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import PageferryError, UserError
from harness.experiment.events import RunProgress
from harness.experiment.halves import (
    Half,
    failure_of,
    open_pair,
)
from harness.experiment.pair_facts import pair_counters, pair_decisions, pair_doubts, pair_parameters
from harness.guests.streamed import RecordedSettings, SyntheticSettings
from harness.hosts.look import Look, cpu_seconds
from harness.hosts.rundir import LOGS_BYTES, open_run_dir, scratch_base
from harness.links.contract import Link, choose_link
from harness.links.steps import stepping
from harness.results.result import Run
from harness.scenario.methods import Method, PairMethod
from harness.scenario.model import Scenario
from harness.streams import synthetic
from harness.streams.memory import memory
from harness.streams.memory.cache import cache_dir
from harness.streams.replay import Player, Report, feed_argv, sink_argv
from harness.streams.streamfile import StreamFile, open_stream

__all__ = ["ReplayLab"]

_LOOK_EVERY_S = 0.05
_CLOSING_S = 20.0


class ReplayLab:
    """Runs of one scenario with a stream. Entering it opens the recording, or generates the stream once."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def __enter__(self) -> ReplayLab:
        """Stream and link. :raises UserError: not a stream. :raises MissingError: no file, no link, no room."""
        guest = self._scenario.guest
        self._scratch = scratch_base(LOGS_BYTES)
        self._stream = open_stream(Path(guest.path)) if isinstance(guest, RecordedSettings) else self._generated()
        self._link = choose_link(self._scenario.link)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing outlives a run."""

    def _generated(self) -> StreamFile:
        guest = self._scenario.guest
        if not isinstance(guest, SyntheticSettings):
            raise UserError(f"a guest of kind {guest.kind!r} is no stream")
        spec = synthetic.StreamSpec(
            guest.memory_bytes,
            guest.fill,
            guest.seed,
            guest.working_set_bytes,
            guest.dirty_rate_bytes_per_s,
            guest.pattern,
            guest.changed_bytes_per_page,
        )
        return synthetic.synthetic_stream(spec, cache_dir())

    def describe(self) -> dict[str, str | int | float | bool | None]:
        """Stream and link, each with where it comes from."""
        return {
            "stream": self._stream.origin or str(self._stream.path),
            "stream_bytes": self._stream.stream_bytes,
            "stream_digest": self._stream.digest,
            "machine_of_guest": self._stream.machine,
            **self._link.describe(),
            "scratch": str(self._scratch),
        }

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """As a live guest's, where the stream was generated; a recording's pages are not sorted into classes."""
        guest = self._scenario.guest
        if not isinstance(guest, SyntheticSettings):
            return {}
        return {str(name): facts for name, facts in memory.measure_classes(guest.fill, guest.seed).items()}

    def run(self, method: Method, logs: Path, on_progress: Callable[[RunProgress], None]) -> Run:
        """One replay through ``method``. :raises MissingError: not on this machine. :raises PageferryError: it failed."""
        with ExitStack() as stack:
            run_dir = stack.enter_context(open_run_dir(logs, LOGS_BYTES))
            link = stack.enter_context(self._link.make())
            route = stack.enter_context(_open_route(method, link, run_dir))
            argv = feed_argv(self._stream.path, route.target)
            feeder = Player("feeder", argv, host=link.source, log=run_dir / "feeder.log")
            stack.callback(feeder.stop)
            look = Look(link.counters, {half.name: half.cpu_s for half in route.halves})
            feeder.start()
            with stepping(link, self._scenario.link.steps):
                in_time = self._wait(method, route, look, on_progress)
            if not in_time:
                return self._timed_out(method, look)
            fed, got = _reports(feeder, route)
            return self._completed(method, route, look, fed, got)

    def _wait(self, method: Method, route: _Route, look: Look, on_progress: Callable[[RunProgress], None]) -> bool:
        """Look now and then until the sink has ended. False: it has not within the scenario's timeout."""
        began_s = time.monotonic()
        while not route.sink.ended():
            now_s = time.monotonic()
            elapsed_s = now_s - began_s
            if elapsed_s > self._scenario.timeout_s:
                return False
            sample = look.take(now_s)
            on_progress(
                RunProgress(
                    method.name, elapsed_s, wire_bytes=sample.wire_bytes, wire_bytes_per_s=look.wire_bytes_per_s
                )
            )
            time.sleep(_LOOK_EVERY_S)
        return True

    def _completed(self, method: Method, route: _Route, look: Look, fed: Report, got: Report) -> Run:
        reports = {half.name: half.finish() for half in route.halves}
        stream, wire_bytes = self._stream, look.wire_bytes()
        arrived = (got["bytes"], got["digest"]) == (stream.stream_bytes, stream.digest)
        line = f"the sink took {got['bytes']:,} of {stream.stream_bytes:,} bytes, XXH3 {got['digest']}: " + (
            "the stream's own" if arrived else f"not the stream's own, {stream.digest}"
        )
        return Run(
            method.name,
            repeat=0,
            warmup=False,
            status="completed" if arrived else "failed",
            reason=None if arrived else line,
            error=None if arrived else line,
            total_time_s=got["last_byte_s"] - fed["began_s"],
            wire_bytes=wire_bytes,
            stream_bytes=stream.stream_bytes,
            ratio=stream.stream_bytes / wire_bytes,
            cpu_s=cpu_seconds(look.cpu_since_start()),
            verified=arrived,
            verification=(line,),
            parameters=pair_parameters(reports),
            decisions=pair_decisions(reports),
            counters=pair_counters(reports) | {"wire_return_bytes": look.return_bytes()},
            warnings=tuple(pair_doubts(reports)),
            samples=tuple(
                replace(sample, t_s=sample.t_s - fed["began_s"])
                for sample in look.samples
                if sample.t_s >= fed["began_s"]
            ),
        )

    def _timed_out(self, method: Method, look: Look) -> Run:
        reason = (
            f"not all of the stream's {self._stream.stream_bytes:,} bytes arrived within {self._scenario.timeout_s:g} s"
        )
        return Run(
            method.name,
            0,
            warmup=False,
            status="timeout",
            reason=reason,
            wire_bytes=look.wire_bytes(),
            samples=look.samples,
        )


@dataclass(frozen=True, slots=True)
class _Route:
    """Where the feeder sends to, the sink at the end, and our two halves if they stand between."""

    target: str
    sink: Player
    halves: tuple[Half, ...] = ()


@contextmanager
def _open_route(method: Method, link: Link, run_dir: Path) -> Iterator[_Route]:
    ours = isinstance(method, PairMethod)
    out_of, into = run_dir / "out.sock", run_dir / "in.sock"
    listen = f"unix:{into}" if ours else f"tcp:{link.destination.address}:0"
    with ExitStack() as stack:
        sink = Player("sink", sink_argv(listen), host=link.destination, log=run_dir / "sink.log")
        stack.callback(sink.stop)
        sink.start()
        ready = sink.wait_ready()
        if not isinstance(method, PairMethod):
            host, port = link.connect_address(int(ready.rpartition(":")[2]))
            yield _Route(f"tcp:{host}:{port}", sink)
            return
        ends = {"source": out_of, "target": into}
        pair = open_pair(method, link, **ends, run_dir=run_dir, return_path=False)  # a sink confirms nothing
        yield _Route(f"unix:{out_of}", sink, stack.enter_context(pair))


def _reports(feeder: Player, route: _Route) -> tuple[Report, Report]:
    """Feeder's and sink's. :raises PageferryError: what failed first: the pair, else a player."""
    try:
        return feeder.finish(_CLOSING_S), route.sink.finish(_CLOSING_S)
    except PageferryError as exc:
        cause = failure_of(route.halves)
        if cause is None:
            raise
        raise type(cause)(f"{cause}; {exc}") from exc
