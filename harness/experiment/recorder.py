"""Takes one migration from a QEMU and keeps its stream in a recording, for guests of kind "stream".

The QEMU is somebody's, who migrates to where we listen, or one that we start for a scenario's guest. The file appears when the
stream was whole: a migration that was cancelled or failed leaves none, and its guest runs on at the source.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from harness.errors import PeerError, QemuError, UserError
from harness.experiment.environment import qemu_version
from harness.guests.contract import Place, make_guest
from harness.guests.qemu_ends import QemuEnds
from harness.guests.qemu_settings import QemuSettings
from harness.hosts.local import HERE
from harness.hosts.rundir import open_scratch
from harness.migrator.entrance import Entrance
from harness.migrator.transport.contract import Access
from harness.migrator.transport.registry import endpoint_for_qemu
from harness.migrator.transport.sockets import SocketListener
from harness.results.saving import whole_file
from harness.scenario.methods import QemuMethod
from harness.scenario.model import Scenario
from harness.streams.passes import StreamNotes
from harness.streams.recording.layout import About, Facts
from harness.streams.recording.writer import RecordingWriter
from harness.units import format_bandwidth

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """While a stream comes. ``passes``: begun so far. ``elapsed_s``: since its first byte."""

    stream_bytes: int
    file_bytes: int
    passes: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in the file now, and how large that is."""

    facts: Facts
    file_bytes: int


OnProgress = Callable[[Progress], None]
Say = Callable[[str], None]


def record_stream(
    source: str,
    path: Path,
    *,
    licences: str = "",
    timeout_s: float | None = None,
    insecure: bool = False,
    access: Access | None = None,
    say: Say = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> Kept:
    """Wait at ``source`` for a QEMU's ``migrate``, keep its stream in ``path``, and say what it is. ``timeout_s``: for it to come.

    :raises UserError: the address. :raises PeerError: nobody came, or the stream broke off. :raises QemuError: it came with more
        connections than one. :raises ResultError: the file.
    """
    endpoint = endpoint_for_qemu(source, "--from", insecure=insecure)
    with whole_file(path, "recording") as file, endpoint.listen(access) as listener:
        uri, entrance = listener.address, Entrance(listener, say)
        say(f"ready: migrate the source to {uri}")
        try:
            connection = entrance.await_migration(timeout_s)
        except TimeoutError as exc:
            raise PeerError(f"--from {uri}: no QEMU connected within {timeout_s:g} s; migrate it to {uri}") from exc
        assert connection is not None  # noqa: S101 - for the type checker: nothing else was waited for
        with connection:
            try:
                return _Taking(connection, entrance, on_progress).into(file, _about(licences))
            except _BrokeOffError as exc:
                raise PeerError(f"{exc}: QEMU's `info migrate` says why") from exc


def record_guest(
    scenario: Scenario,
    path: Path,
    *,
    licences: str = "",
    say: Say = lambda _: None,
    on_progress: OnProgress = lambda _: None,
) -> Kept:
    """Start the scenario's guest, let it get ready, and keep the stream of its migration in ``path``; then the guest ends.

    QEMU sends as fast as the scenario's link, so that the passes are those of such a link.

    :raises UserError: no QEMU runs this guest. :raises MissingError: something that it needs is not here. :raises QemuError: the
        guest, or its migration, failed. :raises PeerError: it found no end in time. :raises ResultError: the file.
    """
    given = scenario.guest
    if not isinstance(given, QemuSettings):
        raise UserError(
            f"{scenario.name}: guest.kind = {given.kind!r}: no QEMU runs such a guest, so there is nothing to record; "
            "name a scenario whose guest runs in QEMU"
        )
    recorded = given.model_copy(update={"prealloc": False})  # no time is measured, and the destination stays idle
    guest = make_guest(scenario.model_copy(update={"guest": recorded, "return_path": False}))  # nobody answers
    guest.tell = say
    guest.open()
    bandwidth = scenario.link.bandwidth_bytes_per_s
    method = QemuMethod(name="record", baseline=True, source={} if bandwidth is None else {"max-bandwidth": bandwidth})
    about = replace(
        _about(licences),
        scenario=scenario.name,
        guest=given.model_dump(mode="json"),
        environment=guest.describe() | {"qemu": qemu_version(given.qemu)},
        bandwidth_bytes_per_s=bandwidth,
    )
    with (
        whole_file(path, "recording") as file,
        open_scratch(guest.folder_bytes) as folder,
        guest.ends(method, Place(folder, HERE, HERE)) as ends,
    ):
        if not isinstance(ends, QemuEnds):
            raise UserError(
                f"{scenario.name}: guest.kind = {given.kind!r}: its ends are not QEMU's, and cannot be recorded"
            )
        ends.begin()
        with endpoint_for_qemu(f"unix:{folder}/record.sock", "--from", insecure=False).listen() as listener:
            return _Guest(ends, scenario).into(file, about, listener, on_progress)


class _BrokeOffError(Exception):
    """The stream ended before its end."""


class _NoEndError(Exception):
    """Time was up before that."""


class _Guest:
    """Ours, ready to be migrated."""

    def __init__(self, ends: QemuEnds, scenario: Scenario) -> None:
        self._qmp = ends.source.qmp
        self._scenario = scenario

    def into(self, file: IO[bytes], about: About, listener: SocketListener, on_progress: OnProgress) -> Kept:
        """Migrate it to ``listener``, and keep what comes."""
        timeout_s = self._scenario.timeout_s
        entrance = Entrance(listener, lambda _: None)
        self._qmp.execute("migrate", uri=listener.address)
        try:
            connection = entrance.await_migration(timeout_s)
            assert connection is not None  # noqa: S101 - for the type checker: nothing else was waited for
            with connection:
                return _Taking(connection, entrance, on_progress, timeout_s).into(file, about)
        except (_BrokeOffError, TimeoutError) as exc:
            said = self._qmp.execute("query-migrate")
            words = str(exc) or f"nothing came within {timeout_s:g} s"
            raise QemuError(f"source: {words}: migration {said.get('status')}: {said.get('error-desc')}") from exc
        except _NoEndError as exc:
            rate = format_bandwidth(self._scenario.link.bandwidth_bytes_per_s)
            raise PeerError(
                f"{self._scenario.name}: no end within {timeout_s:g} s, {exc}: the guest writes faster than a link of "
                f"bandwidth {rate} carries; raise link.bandwidth, timeout or downtime_limit, or let the guest write less"
            ) from exc


class _Taking:
    """A migration that comes in over ``connection``. ``timeout_s``: for all of it."""

    def __init__(
        self, connection: socket.socket, entrance: Entrance, on_progress: OnProgress, timeout_s: float | None = None
    ) -> None:
        self.notes = StreamNotes()
        self._connection = connection
        self._entrance = entrance
        self._on_progress = on_progress
        self._began_s = time.monotonic()
        self._deadline_s = None if timeout_s is None else self._began_s + timeout_s
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        entrance.attend(self._poll)

    def into(self, file: IO[bytes], about: About) -> Kept:
        """To its end. :raises _BrokeOffError: there was none. :raises _NoEndError: not in time."""
        writer, notes, buffer = RecordingWriter(file), self.notes, bytearray(_READ_BYTES)
        writer.begin(about)
        while count := self._receive(buffer):
            counts = notes.parser.counts
            self._entrance.look(counts.raw_pages + counts.zero_pages)
            data, elapsed_s = memoryview(buffer)[:count], time.monotonic() - self._began_s
            notes.take(data, elapsed_s)
            writer.write(data)
            self._on_progress(Progress(counts.stream_bytes, writer.file_bytes, notes.finder.count, elapsed_s))
        facts = notes.facts()
        if not notes.parser.is_whole() and (notes.parser.is_migration or not facts.stream_bytes):
            raise _BrokeOffError(f"the stream ended after {facts.stream_bytes} bytes, before its end")
        writer.finish(facts)
        return Kept(facts, writer.file_bytes)

    def _receive(self, buffer: bytearray) -> int:
        """Bytes read; 0 at the end. A reset is an end too: what came says whether it was whole."""
        while True:
            left_ms = None if self._deadline_s is None else (self._deadline_s - time.monotonic()) * 1000
            if left_ms is not None and left_ms <= 0:
                raise _NoEndError(f"in pass {self.notes.finder.count}")
            if self._connection.fileno() in [descriptor for descriptor, _ in self._poll.poll(left_ms)]:
                break
            self._entrance.look(0)
        try:
            return self._connection.recv_into(buffer)
        except ConnectionResetError:
            return 0


def _about(licences: str) -> About:
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return About(now, importlib.metadata.version("pageferry"), licences=licences)
