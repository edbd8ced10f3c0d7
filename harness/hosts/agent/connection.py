"""Our end of an agent's stream: ssh started, the agent greeted, requests and their answers, and what comes unasked.

One thread reads, and is the only one that tells the end to whoever waits. The stream is broken off, and ssh with it, when an agent
does not answer for ``SILENCE_S``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, Protocol

from harness.errors import FrameError, MissingError, PeerError
from harness.hosts.agent.calls import error_of
from harness.hosts.agent.channels import Channels
from harness.hosts.agent.frames import GREETING, Frames, read_frame
from harness.hosts.agent.identity import hello
from harness.hosts.agent.messages import (
    Accepted,
    Answer,
    Call,
    Close,
    Data,
    Ended,
    Failure,
    Hello,
    Message,
    Output,
    Ping,
    Request,
)
from harness.hosts.agent.words import why_ended, why_no_agent, why_silent

PING_EVERY_S, SILENCE_S = 5.0, 30.0
_GREETING_S, _ANSWER_S, _END_S = 60.0, 120.0, 10.0
_MOST_BEFORE_BYTES = _MOST_SAID_BYTES = 64 << 10


class FarChild(Protocol):
    """Is told what a child there does."""

    def take(self, data: bytes) -> None:
        """It wrote that."""

    def end(self, status: int, cpu_s: float) -> None:
        """It ended; all that it wrote came before."""


class Connection:
    """``name`` is the host's in messages; ``argv`` starts ssh, or whatever else leads to an agent.

    ``ping_every_s``: how often that is told that we are there; after ``silence_s`` without a word of its own it counts as hung.

    :raises MissingError: no ssh here, no pageferry there or another. :raises PeerError: the host is not reached.
    """

    def __init__(
        self, name: str, argv: Sequence[str], ping_every_s: float = PING_EVERY_S, silence_s: float = SILENCE_S
    ) -> None:
        self.name = name
        self._ping_every_s, self._silence_s = ping_every_s, silence_s
        self.children: dict[int, FarChild] = {}
        self.listeners: dict[int, Callable[[], socket.socket]] = {}
        self.numbers = itertools.count(2, 2)
        self._requests = itertools.count()
        self._waiting: dict[int, Future[tuple[Any, bytes]]] = {}
        self._broken: str | None = None
        self._heard = True
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this object
        self._socket, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._errors, start_new_session=True
            )
        except OSError as exc:
            self._socket.close()
            self._errors.close()
            raise MissingError(f"{argv[0]}: cannot be started: {exc.strerror}; install openssh-client") from exc
        finally:
            theirs.close()
        self._frames = Frames(self._socket.sendall)
        self.channels = Channels(self._frames)
        try:
            self.hello = self._greeted()
        except BaseException:
            self.close()
            raise
        self._threads = [
            threading.Thread(target=work, name=f"agent-{name}", daemon=True)
            for work in (self._listen, self._ping, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def request(self, message: Request, payload: bytes = b"", timeout_s: float = _ANSWER_S) -> tuple[Any, bytes]:
        """Its answer. :raises PeerError: none came. Raises what was raised there."""
        number, future = next(self._requests), Future[tuple[Any, bytes]]()
        self._waiting[number] = future
        try:
            if self._broken is not None:
                raise PeerError(f"{self.name}: {self._broken}")
            self.send(message.model_copy(update={"number": number}), payload)  # type: ignore[arg-type]
            return future.result(timeout_s)
        except FutureTimeoutError as exc:
            asked = message.function if isinstance(message, Call) else type(message).__name__.lower()
            raise PeerError(f"{self.name}: {asked}: {why_silent(self.name, timeout_s)}") from exc
        finally:
            self._waiting.pop(number, None)

    def send(self, message: Message, payload: bytes = b"") -> None:
        """:raises PeerError: the stream is broken."""
        try:
            self._frames.send(message, payload)
        except OSError as exc:
            raise PeerError(f"{self.name}: {self._broken or self._why_ended()}") from exc

    def tell(self, message: Message) -> None:
        """As ``send``; on a broken stream nothing, for then all there has ended anyway."""
        with contextlib.suppress(PeerError):
            self.send(message)

    def ping_s(self) -> float:
        """The agent's wall clock."""
        return float(self.request(Ping())[0])

    @property
    def broken(self) -> str | None:
        """Why it is over; None: it stands."""
        return self._broken

    def close(self) -> None:
        """The agent ends, and all that it started. Safe to call twice."""
        self._broken = self._broken or "its connection is closed"
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._cut()
            self.process.wait()
        for thread in self._threads:
            thread.join()
        self._socket.close()
        self._errors.close()

    def _cut(self) -> None:
        """The reading thread sees the stream's end at once, whatever ssh does."""
        self.process.kill()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _greeted(self) -> Hello:
        before, late = self._before_greeting()
        if late:
            raise PeerError(f"{self.name}: {why_silent(self.name, _GREETING_S)}")
        if not before.endswith(GREETING):
            raise why_no_agent(self.name, self._ended_status(), self._said(), before)
        came = read_frame(self._read)
        if came is None or not isinstance(came[0], Hello):
            raise PeerError(f"{self.name}: the agent does not say which it is: {self._why_ended()}")
        theirs, ours = came[0], hello()
        if (theirs.version, theirs.code) != (ours.version, ours.code):
            raise MissingError(
                f"{self.name}: pageferry there is {theirs.version} ({theirs.code}) and here {ours.version} ({ours.code}), "
                f"and both must be one: pageferry hosts prepare {self.name}"
            )
        return theirs

    def _before_greeting(self) -> tuple[bytes, bool]:
        """What comes until the greeting, with it: a login shell may print before. And whether time was up."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._cut()

        came, timer = bytearray(), threading.Timer(_GREETING_S, give_up)
        timer.start()
        try:
            while not came.endswith(GREETING) and len(came) < _MOST_BEFORE_BYTES and (byte := self._read(1)):
                came += byte
        finally:
            timer.cancel()
        return bytes(came), late.is_set()

    def _listen(self) -> None:
        reason = "the agent's stream ended"
        try:
            while (came := read_frame(self._read)) is not None:
                self._heard = True
                self._take(*came)
            reason = self._why_ended()
        except (OSError, FrameError, PeerError) as exc:
            reason = str(exc)
        finally:
            self._break(reason)

    def _take(self, message: Message, payload: bytes) -> None:
        match message:
            case Answer():
                self._settle(message.number, lambda future: future.set_result((message.value, payload)))
            case Failure():
                error = error_of(message.error, message.words, message.errno, self.name)
                self._settle(message.number, lambda future: future.set_exception(error))
            case Data():
                self.channels.take(message.channel, payload)
            case Close(channel=int(channel)):
                self.channels.close(channel)
            case Output():
                if (child := self.children.get(message.child)) is not None:  # else nobody waited for its start so long
                    child.take(payload)
            case Ended():
                if (child := self.children.pop(message.child, None)) is not None:
                    child.end(message.status, message.cpu_s)
            case Accepted():
                self._accepted(message)
            case _:
                raise FrameError(f"the agent's stream: {message.kind!r} is not for us")

    def _settle(self, number: int, how: Callable[[Future[tuple[Any, bytes]]], None]) -> None:
        if (future := self._waiting.pop(number, None)) is not None:
            how(future)

    def _accepted(self, message: Accepted) -> None:
        """The listener here may have gone since."""
        try:
            end = self.listeners[message.listener]()
        except (KeyError, OSError):
            self.tell(Close(channel=message.channel))
        else:
            self.channels.add(message.channel, end)

    def _ping(self) -> None:
        """Say that we are there; to one that hangs it may block."""
        while not self._closing.wait(self._ping_every_s):
            self.tell(Ping(number=next(self._requests)))

    def _watch(self) -> None:
        """See that the agent is. Rounds are counted, and no time: a machine of ours that stood still is no silence there."""
        silent = 0
        while not self._closing.wait(self._ping_every_s):
            silent = 0 if self._heard else silent + 1
            self._heard = False
            if silent * self._ping_every_s > self._silence_s:
                self._broken = why_silent(self.name, self._silence_s)
                self._cut()
                return

    def _break(self, reason: str) -> None:
        """Whoever waits is told, once."""
        self._broken = self._broken or reason
        self._closing.set()
        self.channels.cut_all()
        for number in tuple(self._waiting):
            self._settle(number, lambda future: future.set_exception(PeerError(f"{self.name}: {self._broken}")))
        for child in tuple(self.children.values()):
            child.end(-9, 0.0)
        self.children.clear()

    def _why_ended(self) -> str:
        return why_ended(self.name, self._ended_status(), self._said())

    def _ended_status(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(_END_S)
        return None

    def _said(self) -> str:
        """Ssh's last lines, and those of what it started."""
        with Path(f"/proc/self/fd/{self._errors.fileno()}").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_SAID_BYTES))
            text = file.read(_MOST_SAID_BYTES).decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines()[-3:] if line.strip())

    def _read(self, size: int) -> bytes:
        data = bytearray()
        with contextlib.suppress(ConnectionResetError):  # it ended, and had not read all
            while len(data) < size and (piece := self._socket.recv(size - len(data))):
                data += piece
        return bytes(data)
