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
from harness.hosts.contract import Host
from harness.hosts.ear import GATHER_S, Ear
from harness.hosts.local import HERE

Feed = Callable[[bytes], Iterable[object]]
Found = TypeVar("Found")
KEPT = 10_000
"""A guest may talk for hours, and what it said lately is what is asked for; its heartbeats and its counts of work are all kept."""


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
    """One thing that a guest said. ``console``: "source" ...

    ``at_s``: when its bytes came to its host, and ``heard_s``: to us, both on our monotonic clock; the first is as sure as what is
    known of that host's clock.
    """

    console: str
    at_s: float
    heard_s: float
    event: object


class Consoles:
    """One thread that reads all consoles as soon as bytes arrive, so that arrivals compare.

    ``feeds`` turns each console's bytes into events; heartbeats are kept apart from the rest, counts of work beside it too.
    """

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = dict(feeds)
        self._ears: dict[str, Ear] = {}
        self._beats: dict[str, list[ConsoleEvent]] = {name: [] for name in feeds}
        self._work: dict[str, list[tuple[float, float]]] = {name: [] for name in feeds}
        self._said: deque[ConsoleEvent] = deque(maxlen=KEPT)
        self._closed: set[str] = set()
        self._changed = threading.Condition()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="heartbeat-reader", daemon=True)
        self._failure: BaseException | None = None

    def connect(self, paths: Mapping[str, Path], hosts: Mapping[str, Host] | None = None) -> None:
        """Connect each console's unix socket, on its host or on ours, and start reading.

        :raises QemuError: QEMU does not listen there.
        """
        for name, path in paths.items():
            try:
                self._ears[name] = (hosts or {}).get(name, HERE).ear(path)
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
            self._ears[console].send(data)
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
        """The first event that was heard after ``since_s`` and is ``wanted``; None: none came in time, or QEMU is gone."""
        found = self._first(console, wanted, timeout_s, since_s)
        return None if found is None else found.event

    def wait_said(self, console: str, wanted: Callable[[object], bool], timeout_s: float, *, since_s: float) -> object:
        """As ``heard``. :raises QemuError: none came, and what came last."""
        return self.wait_heard(console, wanted, timeout_s, since_s=since_s).event

    def wait_heard(
        self, console: str, wanted: Callable[[object], bool], timeout_s: float, *, since_s: float
    ) -> ConsoleEvent:
        """As ``wait_said``, with when it came."""
        found = self._first(console, wanted, timeout_s, since_s)
        if found is None:
            last = next(reversed(self.said(console)), "nothing")
            raise QemuError(f"{console}: the guest did not answer within {timeout_s:g} s; it last said {last}")
        return found

    def _first(
        self, console: str, wanted: Callable[[object], bool], timeout_s: float, since_s: float
    ) -> ConsoleEvent | None:
        def found() -> list[ConsoleEvent]:
            said = (s for s in self._said if s.console == console and s.heard_s >= since_s)
            return list(islice((s for s in said if wanted(s.event)), 1))

        return next(iter(self._wait(found, console, timeout_s)), None)

    def close(self) -> None:
        """Stop reading, join the thread, close the sockets. Safe to call twice."""
        if self._thread.is_alive():
            self._wake.send(b"x")
            self._thread.join()
        for ear in self._ears.values():
            ear.close()
        for end in (self._wake, self._woken):
            end.close()

    def _wait(self, look: Callable[[], Found], console: str, timeout_s: float) -> Found:
        """What ``look`` finds once it finds something, or in the end."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (found := look()):
                left_s = deadline_s - time.monotonic()
                if self._failure is not None:
                    raise QemuError(
                        f"{console}: reading the guests' consoles failed: {self._failure}"
                    ) from self._failure
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
            for name, ear in self._ears.items():
                selector.register(ear, selectors.EVENT_READ, name)
            while True:
                ready = selector.select()
                time.sleep(GATHER_S)
                for key, _ in ready:
                    if key.data is None:
                        return
                    if not self._take(str(key.data)):
                        selector.unregister(key.fileobj)

    def _take(self, name: str) -> bool:
        pieces, heard_s = self._ears[name].hear(), time.monotonic()
        with self._changed:
            if pieces is None:
                self._closed.add(name)
            for at_s, data in pieces or ():
                for event in self._feeds[name](data):
                    self._keep(ConsoleEvent(name, at_s, heard_s, event))
            self._changed.notify_all()
        return pieces is not None

    def _keep(self, heard: ConsoleEvent) -> None:
        kept = self._beats[heard.console] if isinstance(heard.event, Beat) else self._said
        kept.append(heard)
        if isinstance(heard.event, Work):
            self._work[heard.console].append((heard.at_s, heard.event.done))


def _arrival_s(heard: ConsoleEvent) -> float:
    return heard.at_s
