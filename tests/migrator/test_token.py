"""With a token only who has it takes part, on either side, and it is never said."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
from pathlib import Path

import pytest
import sample_streams
from frames import HELLO
from pairs import Half, Pair, carry, wait_until
from peers import captured, listening, sender_to

from harness.errors import PeerError, UserError
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.migrator.session import FrameLink
from harness.migrator.token import Token, read_token
from harness.migrator.transport.sockets import SocketTransport
from harness.wire.pair.forms import Role
from harness.wire.pair.messages import Challenge, Hello, Proof, Response, Welcome

SECRET = b"0123456789abcdef0123456789abcdef"
DATA = sample_streams.small_stream(7, sections=4)


def token_file(folder, name="token", secret=SECRET, mode=0o600):
    path = folder / name
    path.write_bytes(secret + b"\n")
    path.chmod(mode)
    return str(path)


def test_who_has_the_token_takes_part(tmp_path):
    both = {"token_file": token_file(tmp_path)}
    with Pair(tmp_path, receive={"threads": 1, **both}, **both) as pair:
        assert carry(pair, DATA, []) == DATA
    assert (pair.sender.error, pair.receiver.error) == (None, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "line"),
    [
        (None, SECRET, "the receiver asks for a token; give the same --token-file here"),
        (SECRET, None, "the receiver asks for no token; start it with the same --token-file, or it may be anybody"),
        (SECRET, SECRET[::-1], "it does not have our token; give both halves a --token-file with the same text"),
    ],
    ids=["none", "none asked for", "another"],
)
def test_who_has_it_not_is_refused_at_once_and_the_next_one_is_served(tmp_path, ours, theirs, line):
    config = [None if one is None else token_file(tmp_path, name, one) for name, one in (("a", ours), ("b", theirs))]
    with listening(tmp_path / "d") as destination:
        listens = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1, token_file=config[1])
        receiver = Half().start(run_receiver, listens)
        to = f"tcp:127.0.0.1:{receiver.port}"
        sender = Half(waits_for="waiting")
        sender.begin(run_sender, SendConfig(f"unix:{tmp_path}/s", to, "zlib", token_file=config[0]))
        assert isinstance(sender.join().error, PeerError)
        assert line in str(sender.error)
        wait_until(lambda: any(said.startswith(("refused a", "no migration began")) for said in receiver.said))
        began = sum(said.startswith("no migration began") for said in receiver.said)
        with receiver.connect() as peer:
            link = FrameLink(SocketTransport(peer), Role.RECEIVER)
            link.send(HELLO)
            if theirs is not None:
                token, asked = Token(theirs), link.next_as(Challenge, 20)
                link.send(response := token.response(asked, HELLO.session))
                token.require(link.next_as(Proof, 20), asked, response, HELLO.session)
            assert link.next_as(Welcome, 20).threads == 1
        wait_until(lambda: began == sum(said.startswith("no migration began") for said in receiver.said) - 1)
        receiver.stop()
        destination.setblocking(False)
        with pytest.raises(BlockingIOError):
            destination.accept()


def test_who_listens_in_the_receivers_place_gets_no_byte_of_the_guest(tmp_path):
    heard = []

    def play(peer: socket.socket) -> None:
        link = FrameLink(SocketTransport(peer), Role.SENDER)
        link.next_as(Hello, 20)
        link.send(Challenge(bytes(32)))
        heard.append(link.next_as(Response, 20))
        link.send(Proof(heard[0].code))  # all that it has of the token
        heard.extend(link.messages())

    with sender_to(tmp_path, play, token_file=token_file(tmp_path)) as (sender, _):
        assert "it does not have our token" in str(sender.join().error)
    assert len(heard) == 1


def test_an_answer_that_was_heard_once_is_of_no_use_again():
    token, said = Token(SECRET), "session"
    asked = token.challenge()
    response = token.response(asked, said)
    token.require(token.proof(asked, response, said), asked, response, said)
    for question, session in ((token.challenge(), said), (asked, "another")):
        with pytest.raises(PeerError, match="it does not have our token"):
            token.proof(question, response, session)


def test_the_code_is_as_the_protocol_says():
    asked, response = Challenge(b"a" * 32), Response(b"b" * 32, b"")
    code = hmac.new(SECRET, b"sender\0" + b"a" * 32 + b"b" * 32 + b"s", hashlib.sha256).digest()
    proof = Token(SECRET).proof(asked, Response(response.nonce, code), "s")
    assert proof.code == hmac.new(SECRET, b"receiver\0" + b"a" * 32 + b"b" * 32 + b"s", hashlib.sha256).digest()


def test_the_token_is_in_nothing_that_is_said(tmp_path):
    said = captured(tmp_path, DATA, "none", {"token_file": token_file(tmp_path)})
    assert SECRET not in said
    assert SECRET.decode() not in repr(Token(SECRET))


@pytest.mark.parametrize(
    ("secret", "mode", "line"),
    [
        (None, 0, "cannot read it: No such file or directory; `openssl rand -hex 32` makes one"),
        (SECRET, 0o640, r"other users may read or write it; `chmod 600 "),
        (SECRET, 0o604, r"other users may read or write it; `chmod 600 "),
        (b"", 0o600, "0 bytes; a token has 16 to 4096 bytes"),
        (b"  short  ", 0o600, "5 bytes; a token has 16 to 4096 bytes"),
        (b"x" * 5000, 0o600, "4097 bytes; a token has 16 to 4096 bytes"),
    ],
)
def test_a_file_that_is_no_good_token_is_told(tmp_path, secret, mode, line):
    path = tmp_path / "token"
    if secret is not None:
        token_file(tmp_path, "token", secret, mode)
    with pytest.raises(UserError, match=rf"^--token-file {path}: {line}"):
        read_token(path)


def test_a_token_may_come_through_a_pipe():
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb"), os.fdopen(writes, "wb") as file:
        file.write(SECRET)
        file.close()
        assert read_token(Path(f"/dev/fd/{reads}")) == Token(SECRET)
    assert read_token(None) is None
