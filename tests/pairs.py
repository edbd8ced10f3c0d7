"""Sender and receiver in threads, between two sockets that a test holds in place of the QEMUs."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from frames import HELLO

from harness.errors import PeerError
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.migrator.session import FrameLink
from harness.migrator.transport.memory import memory_pair
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import Hello, Welcome

DEFAULT_LINGER_S = ReceiveConfig("", "").linger_s


@dataclass
class Half:
    """One half in a thread, as a process would run it. ``one_sender``: a receiver that waits for no second one ends so.
    ``waits_for``: how the line begins for which ``start`` waits. ``source``: a sender's, which quits when its guest is to wait."""

    ready: threading.Event = field(default_factory=threading.Event)
    line: str = ""
    one_sender: bool = False
    source: socket.socket | None = None
    waits_for: str = "ready: "
    stopping: bool = False
    said: list[str] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def start(self, run, config) -> Half:
        self.begin(run, config)
        assert self.ready.wait(120)
        return self

    def begin(self, run, config) -> None:
        if isinstance(config, ReceiveConfig) and config.linger_s == DEFAULT_LINGER_S:
            config = replace(config, linger_s=0.0)  # a sender that a test plays does not ask

        def say(line: str) -> None:
            self.said.append(line)
            if self.source is not None and "the source's guest stands still" in line:
                self.source.shutdown(socket.SHUT_RDWR)
            if line.startswith(self.waits_for):
                self.line = line
                self.ready.set()
            if self.stopping or (self.one_sender and line.startswith("no migration began: ")):
                raise PeerError(line)

        def body() -> None:
            try:
                self.result = run(config, say)
            except BaseException as exc:
                self.error = exc
            self.ready.set()

        self.thread = threading.Thread(target=body, daemon=True)  # a failed test must not keep pytest from ending
        self.thread.start()

    @property
    def port(self) -> int:
        """Where a receiver listens."""
        return int(self.line.rpartition(":")[2])

    def connect(self) -> socket.socket:
        """To a receiver, as a sender would."""
        peer = socket.create_connection(("127.0.0.1", self.port))
        peer.settimeout(120)
        return peer

    def stop(self) -> Half:
        """A receiver that waits for a sender: with a connection that says nothing."""
        self.stopping = True
        with contextlib.suppress(ConnectionError):  # it may be about to say something, and end by that
            self.connect().close()
        return self.join()

    def ended_within(self, seconds: float) -> bool:
        """Whether it has ended, waited for so long. One that never began has."""
        if self.thread is not None:
            self.thread.join(seconds)
        return self.thread is None or not self.thread.is_alive()

    def join(self) -> Half:
        assert self.thread is not None
        self.thread.join(120)
        assert not self.thread.is_alive(), "this half hangs"
        return self


class Pair:
    """A pair between two unix sockets that the test holds in place of the QEMUs."""

    usual_backend = "zlib"

    def __init__(
        self,
        tmp_path,
        backend: str | None = None,
        *,
        receive: dict[str, Any] | None = None,
        meet: str = "tcp:127.0.0.1:0",
        **send: Any,
    ) -> None:
        self.destination_listener = socket.socket(socket.AF_UNIX)
        self.destination_listener.bind(str(tmp_path / "d"))
        self.destination_listener.listen(1)
        target = f"unix:{tmp_path}/d"
        self.receiver = Half(one_sender=True).start(
            run_receiver, ReceiveConfig(meet, target, **{"linger_s": 5.0, **(receive or {"threads": 2})})
        )
        assert self.receiver.error is None, self.receiver.error
        config = SendConfig(
            f"unix:{tmp_path}/s",
            self.receiver.line.removeprefix("ready: listening on "),
            backend or self.usual_backend,
            **{"threads": 2, "without_return_path": True, **send},
        )
        self.sender = Half().start(run_sender, config)
        self.source = socket.socket(socket.AF_UNIX)
        self.source.settimeout(120)
        assert self.sender.error is None, self.sender.error
        self.source.connect(str(tmp_path / "s"))
        self.sender.source = self.source

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        if "destination" in vars(self):
            self.destination.close()
        self.destination_listener.close()
        self.sender.join()
        self.receiver.join()

    @cached_property
    def destination(self) -> socket.socket:
        """The receiver's connection, which it makes when the first bytes are there."""
        self.destination_listener.settimeout(120)
        connection, _ = self.destination_listener.accept()
        connection.settimeout(120)
        return connection

    def drain(self) -> bytes:
        """Everything that reaches the destination, until its end."""
        parts = []
        poll = select.poll()
        poll.register(self.destination_listener, select.POLLIN)
        while "destination" not in vars(self) and not poll.poll(20):
            if not self.receiver.thread.is_alive():
                return b""  # it ended without a word to the destination
        with contextlib.suppress(ConnectionResetError):
            while data := self.destination.recv(1 << 20):
                parts.append(data)
        return b"".join(parts)


@contextlib.contextmanager
def greeted_links() -> Iterator[tuple[FrameLink, FrameLink]]:
    """The sender's end and the receiver's of a link on which both have greeted."""
    left, right = memory_pair()
    with closing(left), closing(right):
        ends = FrameLink(left, Role.RECEIVER), FrameLink(right, Role.SENDER)
        ends[0].send(HELLO)
        ends[1].next_as(Hello, 120)
        ends[1].send(Welcome(1))
        ends[0].next_as(Welcome, 120)
        yield ends


def wait_until(true: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, "it never became true"
        time.sleep(0.01)


def carry(pair: Pair, data: bytes, cuts: list[int]) -> bytes:
    def write() -> None:
        at = 0
        for cut in [*sorted(cuts), len(data)]:
            pair.source.sendall(data[at:cut])
            at = max(at, cut)
        pair.source.shutdown(socket.SHUT_WR)

    writer = threading.Thread(target=write)
    writer.start()
    received = pair.drain()
    pair.destination.close()
    writer.join()
    return received


def received(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := connection.recv(1 << 16)):
        data += piece
    return data
