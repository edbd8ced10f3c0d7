"""QEMU's machine protocol, synchronous and thread-safe, over the library ``qemu.qmp``. Does not start or stop QEMU.

Each connection owns one thread with an asyncio loop. A QEMU that dies ends every call within a moment, with what its
owner can tell of the death. Events are kept in order with the time that QEMU stamped on them, in seconds of our wall clock
(``time.time()``), so that the stamps of two QEMUs compare.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from qemu.qmp import EventListener, QMPClient, QMPError, Runstate

from harness.errors import QemuError

COMMAND_TIMEOUT_S = 30.0
Json: TypeAlias = Any  # what a QMP command returns is described by QEMU's schema, not by our types
_T = TypeVar("_T")
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())  # a dead QEMU is reported by our errors, not on stderr


class Ended(Protocol):
    """Says in words how a process ended, waiting up to ``wait_s`` for it to be gone; None while it runs."""

    def __call__(self, wait_s: float = 0.0) -> str | None:
        """See the class."""


@dataclass(frozen=True, slots=True)
class Event:
    """One QMP event. ``at_s``: QEMU's own timestamp, in seconds of our wall clock."""

    name: str
    at_s: float
    data: Mapping[str, Any]


class Qmp:
    """A connection to one QEMU. ``name`` is for messages, ``ended`` says how the process ended, or None while it runs.

    ``ahead_s``: what its host's wall clock is ahead of ours, on which all events are told.
    """

    def __init__(self, name: str, ended: Ended | None = None, ahead_s: float = 0.0) -> None:
        self.name = name
        self._ahead_s = ahead_s
        self._ended: Ended = ended or _never_ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._establishing: asyncio.Task[Any] | None = None
        self._tasks: tuple[asyncio.Future[None], ...] = ()
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._alive = False

    def greet(self, connected: socket.socket, timeout_s: float = 10.0) -> None:
        """Speak QMP on a connected socket, which is this object's from now on.

        :raises QemuError: what answers does not speak QMP, or (``__cause__`` is a TimeoutError) nothing does in time.
        """
        try:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run_loop, args=(loop,), name=f"qmp-{self.name}", daemon=True)
            self._thread.start()
            self._call(self._establish(connected), timeout_s, "connect")
        except BaseException:
            self.close()
            connected.close()
            raise

    def execute(self, command: str, /, *, timeout_s: float = COMMAND_TIMEOUT_S, **arguments: object) -> Json:
        """Run one command and return what QEMU returned. :raises QemuError: with QEMU's words, or how QEMU ended."""
        return self._call(self._client_execute(command, arguments), timeout_s, command)

    def events(self, name: str | None = None, *, since_s: float = 0.0) -> tuple[Event, ...]:
        """All events so far, oldest first; only those called ``name`` and stamped at or after ``since_s``."""
        with self._changed:
            return tuple(e for e in self._events if name in (None, e.name) and e.at_s >= since_s)

    def wait_event(self, name: str, timeout_s: float, *, since_s: float = 0.0) -> Event:
        """The first event ``name`` stamped at or after ``since_s``, waiting for it if need be.

        :raises QemuError: QEMU ended, or no such event within ``timeout_s``.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (found := self.events(name, since_s=since_s)):
                left_s = deadline_s - time.monotonic()
                if not self._alive:
                    raise QemuError(f"{self.name}: waiting for {name}: {self._gone()}")
                if left_s <= 0:
                    raise QemuError(f"{self.name}: no {name} event within {timeout_s:g} s")
                self._changed.wait(left_s)
        return found[0]

    def wait_more(self, names: Collection[str], than: int, timeout_s: float) -> None:
        """Until it has had more than so many events of those ``names``, or for ``timeout_s``, or until it is gone."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while self._alive and self.count(names) <= than and (left_s := deadline_s - time.monotonic()) > 0:
                self._changed.wait(left_s)

    def count(self, names: Collection[str]) -> int:
        """How many events of those ``names`` it has had."""
        with self._changed:
            return sum(event.name in names for event in self._events)

    @property
    def alive(self) -> bool:
        """Whether the connection stands."""
        return self._alive

    def close(self) -> None:
        """Disconnect and join the thread. Safe to call twice, and after QEMU's death."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        if thread.ident is None:  # it could not be started
            loop.close()
            return
        if self._client is not None:
            done = asyncio.run_coroutine_threadsafe(self._disconnect(), loop)
            concurrent.futures.wait([done], timeout=5.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _gone(self) -> str:
        return self._ended(wait_s=1.0) or "the connection to QEMU is closed"

    def _call(self, coroutine: Coroutine[Any, Any, _T], timeout_s: float, what: str) -> _T:
        loop = self._loop
        if loop is None:
            coroutine.close()
            raise QemuError(f"{self.name}: {what}: not connected to QEMU: {self._gone()}")
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, timeout_s), loop)
        try:
            return future.result()
        except TimeoutError as exc:
            raise QemuError(f"{self.name}: {what}: no answer from QEMU within {timeout_s:g} s") from exc
        except QMPError as exc:
            raise QemuError(f"{self.name}: {what}: {self._words(exc)}") from exc
        except (EOFError, OSError) as exc:
            raise QemuError(f"{self.name}: {what}: {self._gone()}") from exc
        except BaseException:
            future.cancel()
            raise

    def _words(self, exc: QMPError) -> str:
        refused = hasattr(exc, "error_class")  # QEMU answered; everything else means that the connection is gone
        return str(exc) if refused else self._gone()

    async def _client_execute(self, command: str, arguments: Mapping[str, object]) -> Json:
        return await self._client.execute(command, dict(arguments))

    async def _establish(self, connected: socket.socket) -> None:
        self._establishing = asyncio.current_task()
        client = QMPClient(self.name)
        listener = EventListener()
        client.register_listener(listener)
        self._client = client
        await client.connect(connected)
        self._alive = True
        self._tasks = (asyncio.ensure_future(self._collect(listener)), asyncio.ensure_future(self._watch(client)))

    async def _collect(self, listener: EventListener) -> None:
        while True:
            message: Json = await listener.get()
            stamp = message["timestamp"]
            at_s = stamp["seconds"] + stamp["microseconds"] / 1e6 - self._ahead_s
            event = Event(message["event"], at_s, message.get("data", {}))
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()

    async def _watch(self, client: QMPClient) -> None:
        while client.runstate is Runstate.RUNNING:
            await client.runstate_changed()
        with self._changed:
            self._alive = False
            self._changed.notify_all()

    async def _disconnect(self) -> None:
        establishing = self._establishing
        if establishing is not None:
            # Given up in the middle it disconnects by itself; both at once would break the client.
            if not establishing.cancelling():
                establishing.cancel()
            await asyncio.gather(establishing, return_exceptions=True)
        with contextlib.suppress(QMPError, EOFError, OSError):  # how the connection ended is no longer of interest
            await self._client.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _never_ended(wait_s: float = 0.0) -> str | None:  # noqa: ARG001
    return None


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
