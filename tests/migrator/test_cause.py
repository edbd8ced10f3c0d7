"""Where one half fails, the other names that cause, and not what followed from it."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from frames import kind_of, whole
from pairs import greeted_links
from peers import play_receiver, sender_to

from harness.errors import MissingError, PeerError
from harness.faults.stream import make_stream
from harness.migrator import session
from harness.migrator.carry import channel
from harness.migrator.carry.pipeline import Failure, spawn
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import Error, Probe, ReturnEnd


def test_a_source_that_gives_up_as_the_receiver_stops_is_not_blamed(tmp_path, monkeypatch):
    monkeypatch.setattr(channel, "_REASON_S", 60.0)
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


def test_who_cannot_send_any_more_tells_what_the_other_half_said_before_it_left(monkeypatch):
    monkeypatch.setattr(session, "_UNREAD_S", 60.0)
    with greeted_links() as (ours, theirs):  # this thread reads ours
        theirs.send_error(MissingError("no memory here"))
        theirs.close()
        failure = Failure(lambda: None)
        writer = spawn("writer", lambda: ours.send(Probe(b"x")), failure)
        time.sleep(0.1)
        with pytest.raises(PeerError, match="the receiver stopped: no memory here"):
            list(ours.messages())
        writer.join(120)
    assert str(failure.error) == "the receiver stopped: no memory here"


def test_a_link_that_only_broke_is_told_as_that():
    with greeted_links() as (ours, theirs):
        theirs.close()
        with pytest.raises(PeerError, match="the link to the receiver broke while sending"):
            ours.send(Probe(b"x"))
