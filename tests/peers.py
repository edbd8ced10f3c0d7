"""Halves of the pair that a test plays: a receiver that knows the rules, whose frames may be changed before they are sent; and a
recorder of what a real sender says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from frames import kind_of, read, split_frames, whole
from pairs import Half
from sample_reports import received

from harness.migrator.carry import serial
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.document import to_document
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.wire.pair.forms import Message
from harness.wire.pair.frame import HEADER_BYTES, Kind, decode_header
from harness.wire.pair.messages import (
    Ack,
    Batch,
    Done,
    End,
    Hello,
    Layout,
    Prepare,
    Prepared,
    Probe,
    Probed,
    Return,
    ReturnEnd,
    Welcome,
)

SHUT = struct.pack(">HHI", 1, 4, 0)
Change = Callable[[bytes], list[bytes]]


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(120)
    return listener


def frames_of(connection: socket.socket) -> Iterator[bytes]:
    """Until the other side closes or breaks off."""
    came = bytearray()
    with contextlib.suppress(OSError):
        while data := connection.recv(1 << 16):
            came += data
            frames = list(split_frames(came))
            del came[: sum(map(len, frames))]
            yield from frames


def play_receiver(connection: socket.socket, change: Change = lambda frame: [frame], confirm_at: int = 1 << 60) -> None:
    """Answer a sender as a receiver does; the destination confirms once ``confirm_at`` bytes of stream are there."""
    delivered = batches = 0
    confirmed = False

    def say(*messages: Message) -> None:
        for message in messages:
            for each in change(whole(message)):
                connection.sendall(each)

    with contextlib.suppress(OSError):
        for message in map(read, frames_of(connection)):
            if isinstance(message, Hello):
                say(Welcome(1))
            elif isinstance(message, Probe):
                say(Probed(1.0, delivered + 1.0, 1 << 20))
            elif isinstance(message, Prepare):
                say(Prepared(1))
            elif isinstance(message, Batch):
                delivered, batches = delivered + message.raw_bytes, batches + 1
                say(Ack(batches, delivered, 0.001, 0.0, 0.001 * batches, 0.01 * batches, delivered))
                if delivered >= confirm_at and not confirmed:
                    confirmed = True
                    say(Return(SHUT), ReturnEnd(len(SHUT)))
            elif isinstance(message, End):
                say(Done(to_document(received())))
                return


@contextlib.contextmanager
def sender_to(
    folder: Path, play: Callable[[socket.socket], None], backend: str = "zlib", **send: Any
) -> Iterator[tuple[Half, socket.socket]]:
    """A real sender whose receiver is ``play``; gives it and the source's socket, connected once the sender is ready."""
    listener = listening(folder / "l")

    def serve() -> None:
        connection, _ = listener.accept()
        listener.close()  # it is not there for another try
        with connection, contextlib.suppress(OSError):
            play(connection)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    config = SendConfig(
        f"unix:{folder}/s",
        f"unix:{folder}/l",
        backend,
        **{"threads": 1, "wait_s": 0.1, **send},
    )
    sender = Half().start(run_sender, config)
    with listener, socket.socket(socket.AF_UNIX) as source:
        source.settimeout(120)
        with contextlib.suppress(OSError):  # where the sender failed already
            source.connect(str(folder / "s"))
            sender.source = source
        yield sender, source
    sender.join()
    server.join(120)
    assert not server.is_alive(), "the played receiver hangs"


def record_sender(folder: Path, data: bytes, backend: str, **send: Any) -> list[bytes]:
    """Every frame of a real sender that carries ``data`` to a real receiver."""
    return list(split_frames(captured(folder, data, backend, **send)))


def record_holding_sender(folder: Path, data: bytes) -> list[bytes]:
    """Likewise, of a codec with history, which waits long enough to hold batches on a busy machine too."""
    with patch.object(serial, "_LINGER_S", 0.2):
        frames = record_sender(folder, data, "zstd-long", batch_bytes=32 << 10, options={"window": "1MiB"})
    layouts = {decode_header(frame[:HEADER_BYTES], 0).layout for frame in frames if kind_of(frame) is Kind.BATCH}
    assert Layout.HELD in layouts
    return frames


def captured(folder: Path, data: bytes, backend: str, both: dict[str, Any] | None = None, **send: Any) -> bytes:
    """Every byte that a real sender writes into the link while it carries ``data`` to a real receiver. ``both``: told to each."""
    said, both = bytearray(), both or {}
    destination = listening(folder / "d")
    receiver = Half().start(run_receiver, ReceiveConfig(f"unix:{folder}/r", f"unix:{folder}/d", threads=1, **both))

    def relay(connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as onward:
            onward.connect(str(folder / "r"))
            back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
            back.start()
            _copy(connection, onward, said)
            back.join(120)

    def take() -> None:
        guest, _ = destination.accept()
        with guest:
            while guest.recv(1 << 16):
                pass

    with destination, sender_to(folder, relay, backend, without_return_path=True, **both, **send) as (sender, source):
        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        source.sendall(data)
        source.shutdown(socket.SHUT_WR)
        taking.join(120)
    receiver.join()
    assert (sender.error, receiver.error) == (None, None)
    return bytes(said)


def _copy(source: socket.socket, target: socket.socket, keep: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if keep is not None:
                keep += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
