"""Reads the consoles of the source's and the destination's guest in one thread, and types on them.

Knows no guest: what the bytes mean is told by the feeds that it is handed.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from harness.errors import QemuError

Feed = Callable[[bytes], Iterable[object]]
Found = TypeVar("Found")
READ_BYTES = 1 << 16
KEPT = 10_000
"""A guest may talk for hours, and what it said lately is what is asked for; its heartbeats and its counts of work are all kept."""
GATHER_S = 0.001
"""A heartbeat's ten bytes come from QEMU one by one. Read together they cost one wake-up, not ten: a thousand a second and
guest, which the migration under measurement would pay for. Arrivals are stamped that much late, all alike.
"""


class Beat:
    """A heartbeat, whatever else it says."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Work:
    """``done``: how much of its work the guest has done so far, by its own count."""

    done: float


@dataclass(frozen=True, slots=True)
class GuestFailure:
    """The guest does no more work; its own words."""

    message: str


@dataclass(frozen=True, slots=True)
class ConsoleEvent:
    """One thing that a guest said, with the monotonic time at which its bytes arrived. ``console``: "source" ..."""

    console: str
    at_s: float
    event: object


class Consoles:
    """One thread that reads all consoles as soon as bytes arrive, so that arrivals compare.

    ``feeds`` turns each console's bytes into events; heartbeats are kept apart from the rest, counts of work beside it too.
    """

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = dict(feeds)
        self._sockets: dict[str, socket.socket] = {}
        self._beats: dict[str, list[ConsoleEvent]] = {name: [] for name in feeds}
        self._work: dict[str, list[tuple[float, float]]] = {name: [] for name in feeds}
        self._said: deque[ConsoleEvent] = deque(maxlen=KEPT)
        self._closed: set[str] = set()
        self._changed = threading.Condition()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="heartbeat-reader", daemon=True)
        self._failure: BaseException | None = None

    def connect(self, paths: Mapping[str, Path]) -> None:
        """Connect each console's unix socket and start reading. :raises QemuError: QEMU does not listen there."""
        for name, path in paths.items():
            console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._sockets[name] = console
            try:
                console.connect(str(path))
            except OSError as exc:
                self.close()
                raise QemuError(f"{name}: {path}: cannot reach the guest's console: {exc.strerror}") from exc
        self._thread.start()

    def beats(self, console: str) -> list[ConsoleEvent]:
        """A console's heartbeats, in the order of their arrival."""
        with self._changed:
            return list(self._beats[console])

    def work(self, console: str) -> list[tuple[float, float]]:
        """Each count of work that a console told: when it arrived (monotonic), and the count."""
        with self._changed:
            return list(self._work[console])

    def said(self, console: str) -> list[object]:
        """What else a console said, in its order."""
        with self._changed:
            return [said.event for said in self._said if said.console == console]

    def send(self, console: str, data: bytes) -> None:
        """Type ``data`` on a console. :raises QemuError: its QEMU is gone."""
        try:
            self._sockets[console].sendall(data)
        except OSError as exc:
            raise QemuError(f"{console}: the guest's console is closed: {exc.strerror}") from exc

    def wait_beats(self, console: str, count: int, timeout_s: float, *, since_s: float = 0.0) -> None:
        """Wait for ``count`` heartbeats that arrive after ``since_s``. :raises QemuError: too few, with their number."""

        def heard() -> int:
            beats = self._beats[console]
            return len(beats) - bisect_left(beats, since_s, key=_arrival_s)

        if not self._wait(lambda: heard() >= count, console, timeout_s):
            raise QemuError(f"{console}: the guest sent {heard()} of {count} heartbeats within {timeout_s:g} s")

    def wait_work(self, console: str, since_s: float, timeout_s: float) -> bool:
        """Whether a count of work arrives after ``since_s`` in time."""
        work = self._work[console]
        return self._wait(lambda: bool(work) and work[-1][0] >= since_s, console, timeout_s)

    def heard(
        self, console: str, wanted: Callable[[object], bool], timeout_s: float, *, since_s: float
    ) -> object | None:
        """The first event after ``since_s`` that is ``wanted``; None: none came in time, or QEMU is gone."""

        def found() -> list[object]:
            said = (s for s in self._said if s.console == console and s.at_s >= since_s)
            return list(islice((s.event for s in said if wanted(s.event)), 1))

        return next(iter(self._wait(found, console, timeout_s)), None)

    def wait_said(self, console: str, wanted: Callable[[object], bool], timeout_s: float, *, since_s: float) -> object:
        """As ``heard``. :raises QemuError: none came, and what came last."""
        event = self.heard(console, wanted, timeout_s, since_s=since_s)
        if event is None:
            last = next(reversed(self.said(console)), "nothing")
            raise QemuError(f"{console}: the guest did not answer within {timeout_s:g} s; it last said {last}")
        return event

    def close(self) -> None:
        """Stop reading, join the thread, close the sockets. Safe to call twice."""
        if self._thread.is_alive():
            self._wake.send(b"x")
            self._thread.join()
        for end in (*self._sockets.values(), self._wake, self._woken):
            end.close()

    def _wait(self, look: Callable[[], Found], console: str, timeout_s: float) -> Found:
        """What ``look`` finds once it finds something, or in the end."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (found := look()):
                left_s = deadline_s - time.monotonic()
                if self._failure is not None:
                    raise QemuError(f"{console}: reading the guests' consoles failed") from self._failure
                if left_s <= 0 or console in self._closed:
                    break
                self._changed.wait(left_s)
            return found

    def _run(self) -> None:
        try:
            self._read_all()
        except BaseException as exc:
            with self._changed:
                self._failure = exc
                self._changed.notify_all()

    def _read_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ, None)
            for name, console in self._sockets.items():
                selector.register(console, selectors.EVENT_READ, name)
            while True:
                ready = selector.select()
                time.sleep(GATHER_S)
                for key, _ in ready:
                    if key.data is None:
                        return
                    if not self._take(str(key.data)):
                        selector.unregister(key.fileobj)

    def _take(self, name: str) -> bool:
        try:
            data = self._sockets[name].recv(READ_BYTES)
        except ConnectionError:
            data = b""
        at_s = time.monotonic()
        with self._changed:
            if not data:
                self._closed.add(name)
            for event in self._feeds[name](data) if data else ():
                kept = self._beats[name] if isinstance(event, Beat) else self._said
                kept.append(ConsoleEvent(name, at_s, event))
                if isinstance(event, Work):
                    self._work[name].append((at_s, event.done))
            self._changed.notify_all()
        return bool(data)


def _arrival_s(heard: ConsoleEvent) -> float:
    return heard.at_s
