"""Halves of the pair that a test plays: a receiver that knows the rules, whose frames may be changed before they are sent; and a
recorder of what a real sender says."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pairs import Half

from harness.migrator.carry.ack import AckLook
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.migrator.sender import SendConfig, run_sender
from harness.wire.pair.frame import Frame, FrameDecoder, Kind, control, encode

SHUT = struct.pack(">HHI", 1, 4, 0)
Change = Callable[[bytes], list[bytes]]


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(20)
    return listener


def frames_of(connection: socket.socket) -> Iterator[Frame]:
    """Until the other side closes or breaks off."""
    decoder = FrameDecoder()
    with contextlib.suppress(OSError):
        while data := connection.recv(1 << 16):
            yield from decoder.receive_data(data)


def whole(frame: Frame) -> bytes:
    return encode(frame.header) + bytes(frame.body)


def split_frames(data: bytes) -> list[bytes]:
    return [whole(frame) for frame in FrameDecoder().receive_data(data)]


def kind_of(frame: bytes) -> Kind:
    return Kind(frame[4])


def play_receiver(connection: socket.socket, change: Change = lambda frame: [frame], confirm_at: int = 1 << 60) -> None:
    """Answer a sender as a receiver does; the destination confirms once ``confirm_at`` bytes of stream are there."""
    delivered = batches = 0
    confirmed = False

    def say(*frames: bytes) -> None:
        for frame in frames:
            for each in change(frame):
                connection.sendall(each)

    with contextlib.suppress(OSError):
        for frame in frames_of(connection):
            kind = frame.header.kind
            if kind is Kind.HELLO:
                say(
                    control(
                        Kind.WELCOME,
                        json.dumps({"protocol": 1, "threads": 1, "probes": True, "prepares": True}).encode(),
                    )
                )
            elif kind is Kind.PROBE:
                say(control(Kind.PROBED, AckLook(0.0, 1.0, delivered + 1.0, 1 << 20).encode()))
            elif kind is Kind.PREPARE:
                say(control(Kind.PREPARED, sequence=1))
            elif kind is Kind.BATCH:
                delivered, batches = delivered + frame.header.raw_bytes, batches + 1
                look = AckLook(0.001, 0.001 * batches, 0.01 * batches, delivered)
                say(control(Kind.ACK, look.encode(), sequence=batches, delivered_bytes=delivered))
                if delivered >= confirm_at and not confirmed:
                    confirmed = True
                    say(control(Kind.RETURN, SHUT), control(Kind.RETURN_END))
            elif kind is Kind.END:
                say(control(Kind.DONE, json.dumps({"protocol": 1}).encode()))
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
        source.settimeout(20)
        with contextlib.suppress(OSError):  # where the sender failed already
            source.connect(str(folder / "s"))
        yield sender, source
    sender.join()
    server.join(10)
    assert not server.is_alive(), "the played receiver hangs"


def record_sender(folder: Path, data: bytes, backend: str, **send: Any) -> list[bytes]:
    """Every frame of a real sender that carries ``data`` to a real receiver."""
    said = bytearray()
    destination = listening(folder / "d")
    receiver = Half().start(run_receiver, ReceiveConfig(f"unix:{folder}/r", f"unix:{folder}/d", threads=1))

    def relay(connection: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as onward:
            onward.connect(str(folder / "r"))
            back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
            back.start()
            _copy(connection, onward, said)
            back.join(20)

    def take() -> None:
        guest, _ = destination.accept()
        with guest:
            while guest.recv(1 << 16):
                pass

    with destination, sender_to(folder, relay, backend, without_return_path=True, **send) as (sender, source):
        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        source.sendall(data)
        source.shutdown(socket.SHUT_WR)
        taking.join(20)
    receiver.join()
    assert (sender.error, receiver.error) == (None, None)
    return split_frames(bytes(said))


def _copy(source: socket.socket, target: socket.socket, keep: bytearray | None = None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if keep is not None:
                keep += data
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
