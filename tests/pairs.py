"""Sender and receiver in threads, between two sockets that a test holds in place of the QEMUs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.migrator.address import Address
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.migrator.sender import SendConfig, run_sender
from harness.migrator.session import FrameLink
from harness.wire.frame import Kind, control


@dataclass
class Half:
    """One half in a thread, as a process would run it."""

    ready: threading.Event = field(default_factory=threading.Event)
    line: str = ""
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def start(self, run, config) -> Half:
        def on_ready(line: str) -> None:
            self.line = line
            self.ready.set()

        def body() -> None:
            try:
                self.result = run(config, on_ready)
            except BaseException as exc:
                self.error = exc
            self.ready.set()

        self.thread = threading.Thread(target=body, daemon=True)  # a failed test must not keep pytest from ending
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def ended_within(self, seconds: float) -> bool:
        """Whether it has ended, waited for so long. One that never began has."""
        if self.thread is not None:
            self.thread.join(seconds)
        return self.thread is None or not self.thread.is_alive()

    def join(self) -> Half:
        assert self.thread is not None
        self.thread.join(20)
        assert not self.thread.is_alive(), "this half hangs"
        return self


class Pair:
    """A pair between two unix sockets that the test holds in place of the QEMUs."""

    usual_backend = "zlib"

    def __init__(
        self, tmp_path, backend: str | None = None, *, receive: dict[str, Any] | None = None, **send: Any
    ) -> None:
        self.destination_listener = socket.socket(socket.AF_UNIX)
        self.destination_listener.bind(str(tmp_path / "d"))
        self.destination_listener.listen(1)
        target = Address(path=str(tmp_path / "d"))
        self.receiver = Half().start(
            run_receiver, ReceiveConfig(Address(host="127.0.0.1", port=0), target, **(receive or {"threads": 2}))
        )
        assert self.receiver.error is None, self.receiver.error
        self.port = int(self.receiver.line.rpartition(":")[2])
        config = SendConfig(
            Address(path=str(tmp_path / "s")),
            Address(host="127.0.0.1", port=self.port),
            backend or self.usual_backend,
            **{"threads": 2, "without_return_path": True, **send},
        )
        self.sender = Half().start(run_sender, config)
        self.source = socket.socket(socket.AF_UNIX)
        self.source.settimeout(20)
        assert self.sender.error is None, self.sender.error
        self.source.connect(str(tmp_path / "s"))
        self.destination, _ = self.destination_listener.accept()
        self.destination.settimeout(20)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for item in (self.source, self.destination, self.destination_listener):
            item.close()
        self.sender.join()
        self.receiver.join()

    def drain(self) -> bytes:
        """Everything that reaches the destination, until its end."""
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while data := self.destination.recv(1 << 20):
                parts.append(data)
        return b"".join(parts)


@contextlib.contextmanager
def greeted_links() -> Iterator[tuple[FrameLink, FrameLink]]:
    """The sender's end and the receiver's of a link on which both have greeted."""
    left, right = socket.socketpair()
    with left, right:
        ends = FrameLink(left, "receiver"), FrameLink(right, "sender")
        ends[1].send(control(Kind.WELCOME))
        ends[0].first_frame(Kind.WELCOME, 10)
        yield ends


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
