"""Where one half fails, the other names that cause, and not what followed from it."""

from __future__ import annotations

import socket
import threading
import time

from frames import kind_of, whole
from peers import play_receiver, sender_to

from harness.errors import PeerError
from harness.faults.stream import make_stream
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import Error, ReturnEnd


def test_a_source_that_gives_up_as_the_receiver_stops_is_not_blamed(tmp_path):
    given_up = threading.Event()

    def play(connection: socket.socket) -> None:
        def change(frame: bytes) -> list[bytes]:
            if kind_of(frame) is not Kind.ACK:
                return [frame]
            connection.sendall(frame + whole(ReturnEnd(0)))
            given_up.wait(120)
            time.sleep(0.3)
            return [whole(Error("no room here"))]

        play_receiver(connection, change)

    stream = make_stream(1).data
    with sender_to(tmp_path, play) as (sender, source):
        source.sendall(stream[: len(stream) // 2])
        assert source.recv(1) == b""  # as QEMU sees that its destination answers no more
        source.close()
        given_up.set()
    assert isinstance(sender.error, PeerError)
    assert str(sender.error) == "the receiver stopped: no room here"
