"""Guests that are a stream alone, recorded or generated: a feeder for the source, a hashing sink for the destination.

Every run does equal work, so that codecs compare; there is no guest, so there is no downtime. The clock runs from the
feeder's first byte to the sink's last one, and the sink's digest must be the stream's.
"""

from __future__ import annotations

import abc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal, Self

import scenarios
from harness.guests.contract import Crossing, Ends, Glimpse, Guest, OnGlimpse, Place
from harness.names import unknown
from harness.results.cache import cache_dir
from harness.results.document import Scalar
from harness.scenario.fault import Fault, shown
from harness.scenario.kinds import GuestSettings
from harness.scenario.methods import Method
from harness.scenario.model import Scenario
from harness.streams.memory import memory
from harness.streams.memory.settings import MemorySettings
from harness.streams.replay import Player, Report, feed_argv, sink_argv
from harness.streams.streamfile import StreamFile, open_stream
from harness.streams.synthetic import StreamSpec, synthetic_stream

_LOOK_EVERY_S = 0.05
_CLOSING_S = 20.0


class RecordedSettings(GuestSettings):
    """A recorded migration stream."""

    has_qemu: ClassVar[bool] = False

    kind: Literal["stream"] = "stream"
    path: str | None = None
    """A file that `pageferry record` made; in a scenario relative to the scenario's own file."""
    stream: str | None = None
    """Instead of `path`: the name of a recording in pageferry's own folder, of `pageferry list recordings`."""

    def located(self, folder_of: Callable[[str], Path]) -> Self:
        """A stream that can be opened now, rather than found missing when its first run starts."""
        if self.stream is not None:
            self._check_shipped(self.stream)
            return self
        if self.path is None:
            known = ", ".join(scenarios.recording_names()) or "none"
            shipped = f"or write stream = NAME for a recording in pageferry's own folder ({known})"
            raise Fault(("path",), f"is missing: name a file that pageferry record made, {shipped}", because=("kind",))
        path = folder_of("path") / self.path
        if not path.is_file():
            reason = "is not a file" if path.exists() else "there is no such file"
            raise Fault(("path",), f"{shown(path)}: {reason}: record one with pageferry record")
        if not os.access(path, os.R_OK):
            raise Fault(("path",), f"{shown(path)}: may not be read: check its permissions")
        return self.model_copy(update={"path": str(path)})

    def _check_shipped(self, name: str) -> None:
        if self.path is not None:
            raise Fault(
                ("stream",), f"{shown(name)}: path names a recording as well: keep one of them", because=("path",)
            )
        if scenarios.find_recording(name) is None:
            raise Fault(("stream",), unknown("recording", name, scenarios.recording_names()))

    @property
    def file(self) -> Path:
        """Where the stream is, once ``located``."""
        shipped = scenarios.find_recording(self.stream or "")
        return shipped if shipped is not None else Path(self.path or "")


class SyntheticSettings(MemorySettings):
    """A generated migration stream, as of a guest with such memory."""

    has_qemu: ClassVar[bool] = False

    kind: Literal["synthetic"] = "synthetic"


class Streamed(Guest):
    """What has a stream to replay; ``stream`` is there once it is open."""

    stream: StreamFile

    @abc.abstractmethod
    def find(self) -> StreamFile:
        """:raises UserError: it is no stream. :raises MissingError: no file, no room."""

    def open(self) -> None:
        """Find the stream, or make it once."""
        self.stream = self.find()

    def describe(self) -> dict[str, Scalar]:
        """The stream, and where it comes from."""
        return {
            "stream": self.stream.origin or str(self.stream.path),
            "stream_bytes": self.stream.stream_bytes,
            "stream_digest": self.stream.digest,
            "machine_of_guest": self.stream.machine,
        }

    @contextmanager
    def ends(self, method: Method, place: Place) -> Iterator[Ends]:  # noqa: ARG002 - no QEMU is there to be set up
        """A feeder and a sink, each a process of its own."""
        ends = _ReplayEnds(self.stream, place)
        try:
            yield ends
        finally:
            ends.stop()


class Recorded(Streamed):
    """Its stream is a file."""

    settings = RecordedSettings
    summary = "a recorded migration stream, replayed into a sink that hashes it"

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._given = self.given_by(scenario, RecordedSettings)

    def find(self) -> StreamFile:
        """Of ``pageferry record``."""
        return open_stream(self._given.file)


class Synthetic(Streamed):
    """Its stream is generated once."""

    settings = SyntheticSettings
    summary = "a generated migration stream, replayed into a sink that hashes it"

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._given = self.given_by(scenario, SyntheticSettings)

    def find(self) -> StreamFile:
        """Of a guest like the live one."""
        given = self._given
        spec = StreamSpec(
            given.memory_bytes,
            given.fill,
            given.seed,
            given.working_set_bytes,
            given.dirty_rate_bytes_per_s,
            given.pattern,
            given.changed_bytes_per_page,
        )
        return synthetic_stream(spec, cache_dir())

    def memory_classes(self) -> dict[str, dict[str, float]]:
        """As a live guest's."""
        return {str(name): facts for name, facts in memory.measure_classes(self._given.fill, self._given.seed).items()}


class _ReplayEnds(Ends):
    """The feeder begins to send as soon as it is started."""

    confirms = False

    def __init__(self, stream: StreamFile, place: Place) -> None:
        self.parameters: dict[str, Scalar] = {}
        self.cpu_s = {}
        self._stream = stream
        self._place = place
        self._players: list[Player] = []
        self._got: Report

    def listen(self, address: str) -> str:
        return self._start("sink", sink_argv(address)).wait_ready()

    def begin(self) -> None:
        """Nothing runs before the feeder does."""

    def migrate(self, address: str, timeout_s: float, on_glimpse: OnGlimpse) -> Crossing:
        sink = self._players[0]
        feeder = self._start("feeder", feed_argv(self._stream.path, address))
        began_s = time.monotonic()
        while not sink.ended():
            elapsed_s = time.monotonic() - began_s
            if elapsed_s > timeout_s:
                all_of_it = f"not all of the stream's {self._stream.stream_bytes:,} bytes"
                return Crossing(gave_up=f"{all_of_it} arrived within {timeout_s:g} s")
            on_glimpse(Glimpse(elapsed_s))
            time.sleep(_LOOK_EVERY_S)
        fed, self._got = feeder.finish(_CLOSING_S), sink.finish(_CLOSING_S)
        return Crossing(
            first_byte_s=fed["began_s"] - began_s,
            stream_bytes=self._stream.stream_bytes,
            total_time_s=self._got["last_byte_s"] - fed["began_s"],
        )

    def examine(self, crossing: Crossing) -> Crossing:
        if crossing.gave_up is not None:
            return crossing
        got, stream = self._got, self._stream
        arrived = (got["bytes"], got["digest"]) == (stream.stream_bytes, stream.digest)
        line = f"the sink took {got['bytes']:,} of {stream.stream_bytes:,} bytes, XXH3 {got['digest']}: " + (
            "the stream's own" if arrived else f"not the stream's own, {stream.digest}"
        )
        return replace(crossing, wrong=None if arrived else line, verified=arrived, verification=(line,))

    def stop(self) -> None:
        for player in reversed(self._players):
            player.stop()

    def _start(self, name: str, argv: list[str]) -> Player:
        host = self._place.destination if name == "sink" else self._place.source
        player = Player(name, argv, host=host, log=self._place.run_dir / f"{name}.log")
        self._players.append(player)
        player.start()
        return player
