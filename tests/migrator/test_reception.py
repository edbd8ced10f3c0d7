"""The reception where this process may open no more files: who comes waits, and is served or refused once there is room."""

from __future__ import annotations

import errno
import threading
from contextlib import closing

import pytest
from frames import HELLO

from harness.errors import PeerError
from harness.migrator import reception
from harness.migrator.reception import Reception
from harness.migrator.session import FrameLink
from harness.migrator.transport.registry import endpoint_for_halves
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import Join, Welcome


@pytest.fixture
def short_listener(monkeypatch):
    """A listener with room at the third try."""
    monkeypatch.setattr(reception, "_FULL_S", 0.001)
    failures = [OSError(errno.EMFILE, "Too many open files")] * 2
    with endpoint_for_halves("memory:short", "--listen").listen() as listener:
        accept = listener.accept

        def short():
            if failures:
                raise failures.pop()
            return accept()

        monkeypatch.setattr(listener, "accept", short)
        yield listener


def dialled() -> FrameLink:
    return FrameLink(endpoint_for_halves("memory:short", "--to").dial(5), Role.RECEIVER)


def test_a_sender_waits_until_there_is_room_for_it(short_listener):
    said: list[str] = []
    with closing(dialled()) as link:
        link.send(HELLO)
        served, agreed = Reception(short_listener, said.append).next_sender(lambda hello: hello, 20)
        served.close()
    assert agreed == HELLO
    assert said == ["a connection has to wait: Too many open files; if that lasts, raise the limit (`ulimit -n`)"]


def nobody_joins(*_):
    pytest.fail("nobody asked to join")


def test_who_comes_while_another_is_served_is_refused_once_there_is_room(short_listener):
    busy = Reception(short_listener, lambda _: None).busy(nobody_joins)
    with closing(dialled()) as link, busy:
        link.send(HELLO)
        with pytest.raises(PeerError, match="another sender is being served"):
            next(link.messages())


def test_who_joins_while_a_sender_is_served_is_handed_over(short_listener):
    joined: list[Join] = []
    came = threading.Event()

    def admit(link, wish):
        joined.append(wish)
        link.send(Welcome(3))
        came.set()

    with closing(dialled()) as link, Reception(short_listener, lambda _: None).busy(admit):
        link.send(Join("ab", 4, urgent=False))
        assert link.next_as(Welcome, 60).threads == 3
        assert came.wait(60)
    assert joined == [Join("ab", 4, urgent=False)]


def test_who_joins_before_any_sender_came_is_refused(short_listener):
    said: list[str] = []
    with closing(dialled()) as link, closing(dialled()) as sender:
        link.send(Join("ab", 4, urgent=False))
        sender.send(HELLO)
        served, _ = Reception(short_listener, said.append).next_sender(lambda hello: hello, 60)
        served.close()
        with pytest.raises(PeerError, match="no migration here has that session"):
            next(link.messages())


def test_a_sender_is_served_where_nobody_can_be_refused_meanwhile(short_listener, monkeypatch):
    def full(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(reception.os, "eventfd", full)
    with Reception(short_listener, lambda _: None).busy(nobody_joins):
        pass
