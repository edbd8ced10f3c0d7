"""Every message at a moment when it may not come, to real halves: each says so in one line, and the other half is told."""

from __future__ import annotations

import socket

import pytest
from frames import EXAMPLES, hello, kind_of, whole
from pairs import Half
from peers import play_receiver, sender_to

from harness.errors import FrameError
from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import MESSAGES
from harness.wire.pair.states import MOVES, State


def untimely(speaker: Role, state: State) -> list[Kind]:
    may = {kind for kind in MOVES[state] if MESSAGES[kind].by is speaker}
    return [kind for kind in Kind if kind not in may and kind is not Kind.ERROR]


@pytest.fixture
def receiver(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d"))
        listener.listen(1)
        yield Half(one_sender=True).start(
            run_receiver, ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1)
        )


@pytest.mark.parametrize("kind", untimely(Role.SENDER, State.BEGUN))
def test_a_receiver_refuses_what_is_no_greeting(receiver, kind):
    with receiver.connect() as peer:
        peer.sendall(whole(EXAMPLES[kind]))
        said = peer.makefile("rb").read()
    receiver.stop()
    line = f"the sender sent {kind.name} before the sender's greeting; HELLO or JOIN or ASK was due"
    assert receiver.said[1] == f"refused a connection: {line}"
    assert line.encode() in said


@pytest.mark.parametrize("kind", untimely(Role.SENDER, State.READY))
def test_a_receiver_refuses_what_may_not_come_before_the_stream(receiver, kind):
    with receiver.connect() as peer:
        peer.sendall(hello() + whole(EXAMPLES[kind]))
        receiver.join()
    refusal = f"the sender sent {kind.name} before the stream's first batch; PROBE or PREPARE or BATCH or END was due"
    assert f"{refusal}; waiting for the next sender" in str(receiver.error)


@pytest.mark.parametrize("kind", untimely(Role.RECEIVER, State.GREETED))
def test_a_sender_refuses_what_is_no_welcome(tmp_path, kind):
    def change(frame: bytes) -> list[bytes]:
        return [whole(EXAMPLES[kind])] if kind_of(frame) is Kind.WELCOME else [frame]

    with sender_to(tmp_path, lambda peer: play_receiver(peer, change)) as (sender, _):
        sender.join()
    assert isinstance(sender.error, FrameError)
    assert (
        str(sender.error)
        == f"the receiver sent {kind.name} before the receiver's greeting; WELCOME or CHALLENGE or VERDICT was due"
    )
