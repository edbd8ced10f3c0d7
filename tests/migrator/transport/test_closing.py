"""A socket whose reader is at it is shut down and not closed: its number would be the next connection's, under that reader."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from unittest.mock import Mock

import pytest

from harness.migrator.arrival import Arrival
from harness.migrator.carry.pipeline import Failure, Window, Workers
from harness.migrator.delivery import Delivery
from harness.migrator.destination import Destination
from harness.migrator.transport.sockets import SocketTransport

PATIENCE_S = 60


class Held:
    """A socket in whose calls a thread stays until ``may_go``, whatever becomes of it."""

    def __init__(self) -> None:
        self.inside, self.may_go = threading.Event(), threading.Event()
        self.done: list[str] = []

    def _stay(self, *_: object) -> int:
        self.inside.set()
        assert self.may_go.wait(PATIENCE_S)
        return 0

    recv_into = sendmsg = _stay

    def setblocking(self, _: bool) -> None: ...

    def shutdown(self, _: int) -> None:
        self.done.append("shut down")

    def close(self) -> None:
        self.done.append("closed")


@pytest.mark.parametrize("call", ["recv_into", "send_parts"])
def test_a_links_number_is_given_back_when_the_last_call_on_it_has_ended(call):
    held = Held()
    transport = SocketTransport(held)  # type: ignore[arg-type]
    parts = {"recv_into": memoryview(bytearray(1)), "send_parts": []}
    user = threading.Thread(target=lambda: getattr(transport, call)(parts[call]))
    if call == "send_parts":
        held.sendmsg = lambda views: held._stay() + sum(map(len, views))
        parts[call] = [b"x"]
    user.start()
    assert held.inside.wait(PATIENCE_S)
    transport.close()
    assert held.done == ["shut down"]
    held.may_go.set()
    user.join(PATIENCE_S)
    assert held.done == ["shut down", "closed"]


def test_a_link_that_nobody_is_at_is_closed_at_once_and_then_takes_no_call():
    ours, theirs = socket.socketpair()
    with closing(theirs):
        transport = SocketTransport(ours)
        assert not transport.has_hung_up()
        transport.close()
        transport.close()
        assert ours.fileno() == -1
        assert transport.has_hung_up()
        for call in (lambda: transport.send_parts([b"x"]), lambda: transport.recv_into(memoryview(bytearray(1)))):
            with pytest.raises(OSError, match="Bad file descriptor"):
                call()


def test_a_destinations_connection_is_open_until_its_reader_has_ended():
    ours, qemu = socket.socketpair()
    with closing(qemu):
        delivery = Delivery(Destination(Mock(reach=lambda _: ours), 1.0))
        delivery.deliver(memoryview(b"page"))
        answers = threading.Thread(target=lambda: list(delivery.answers()))
        answers.start()
        delivery.shut()
        answers.join(PATIENCE_S)
        assert not answers.is_alive()
        assert qemu.recv(10) == b"page"
        assert qemu.recv(10) == b""
        assert ours.fileno() >= 0
        delivery.close()
        assert ours.fileno() == -1


def test_a_connection_that_comes_when_all_is_over_is_shut_down_and_closed_by_its_maker():
    ours, qemu = socket.socketpair()
    with closing(qemu):

        def reach(_: float) -> socket.socket:
            destination.shut()
            return ours

        destination = Destination(Mock(reach=reach), 1.0)
        assert destination.connect() is ours
        assert qemu.recv(1) == b""
        destination.close()
        assert ours.fileno() == -1


@pytest.mark.parametrize("ends", [True, False])
def test_a_channels_connection_is_closed_only_if_its_threads_have_ended(monkeypatch, ends):
    monkeypatch.setattr("harness.migrator.arrival._ENDING_S", PATIENCE_S if ends else 0.01)
    may_go = threading.Event()
    delivery = Mock(answers=lambda: iter([may_go.wait(PATIENCE_S)][:0]), shut=may_go.set if ends else lambda: None)
    workers = Workers("decompress", 1, Mock(), Failure(Mock()))
    arrival = Arrival(Mock(), delivery, {}, workers, Window(1))
    arrival.start()
    arrival._pipeline.stop()
    arrival.close()
    assert delivery.close.called is ends
    may_go.set()
    assert arrival.await_answers(PATIENCE_S)
