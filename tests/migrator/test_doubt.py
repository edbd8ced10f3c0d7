"""Behind a link that broke in mid-stream: a receiver that stays to be asked, and whom it answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from frames import HELLO, stored, whole
from pairs import Half
from peers import frames_of, read

from harness.errors import PeerError
from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver
from harness.wire.pair.forms import Message
from harness.wire.pair.messages import Error
from harness.wire.pair.verdict import Ask, Fate, Verdict

ASK = Ask(HELLO.session)


@pytest.fixture
def receiver(tmp_path) -> Iterator[Half]:
    """Whose sender has gone after a batch; its QEMU ends as the stream does, without a word."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d"))
        listener.listen(1)
        config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1, linger_s=300.0)
        half = Half().start(run_receiver, config)
        with half.connect() as sender:
            sender.sendall(whole(HELLO) + whole(stored(b"abc")))
            listener.settimeout(60)
            qemu, _ = listener.accept()
            assert qemu.recv(3) == b"abc"
        while qemu.recv(1):
            pass
        qemu.close()
        yield half


NOT_YET = (Error("another sender is being served; try again when it has ended"), Verdict(Fate.OPEN, {}))


def answered(receiver: Half, message: Message) -> Message:
    """As a sender does it: again, until the receiver has ended what it was about."""
    said = NOT_YET[0]
    while said in NOT_YET:
        with receiver.connect() as peer:
            peer.settimeout(60)
            peer.sendall(whole(message))
            said = read(next(frames_of(peer)))
    return said


def test_who_asks_about_the_session_is_told_and_that_is_the_end(receiver):
    assert answered(receiver, ASK) == Verdict(Fate.FAILED, {})
    receiver.join()
    assert isinstance(receiver.error, PeerError)


def test_another_session_is_told_nothing_and_the_receiver_stays(receiver):
    assert answered(receiver, Ask("y")) == Error("no migration here has that session")
    assert answered(receiver, ASK) == Verdict(Fate.FAILED, {})
    receiver.join()


def test_a_sender_that_migrates_anew_ends_the_stay(receiver):
    assert answered(receiver, HELLO) == Error(
        "the receiver stayed for the sender of its last migration, and now ends that: try again"
    )
    receiver.join()
