"""Whoever connects to a receiver can neither keep a sender out nor make it do what was not agreed on."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace

import pytest
from frames import HELLO, document, hello, raw, read, stored, whole
from pairs import Half, wait_until
from peers import frames_of

from backends import registry
from backends.api import BackendUnavailable
from harness.errors import FrameError, PeerError
from harness.migrator import reception
from harness.migrator.agreement import MOST_IN_FLIGHT_BYTES, agree
from harness.migrator.choose.shared_cores import are_apart
from harness.migrator.choose.speed import core_speed
from harness.migrator.config import ReceiveConfig, SendConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.sender import run_sender
from harness.migrator.session import FrameLink
from harness.migrator.transport.sockets import SocketTransport
from harness.wire.pair.forms import Role
from harness.wire.pair.frame import Kind
from harness.wire.pair.messages import End, Welcome

DEEP = b'{"protocol": 1, "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@pytest.fixture
def receiver(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "d"))
        listener.listen(1)
        config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1)
        half = Half(one_sender=True).start(run_receiver, config)
        yield half
        half.join()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def served(half):
    """A sender comes, is welcomed, and goes."""
    with half.connect() as peer:
        welcome = welcomed(peer)
    half.join()
    return welcome.threads == 1


def welcomed(peer, **told):
    link = FrameLink(SocketTransport(peer), Role.RECEIVER)
    link.send(replace(HELLO, **told))
    return link.next_as(Welcome, 20)


def told(peer):
    """What a peer that is refused is told."""
    with pytest.raises(PeerError) as caught:
        next(FrameLink(SocketTransport(peer), Role.RECEIVER).messages())
    return str(caught.value)


@pytest.mark.parametrize("backend", ["zlib", "auto"])
def test_a_receiver_tells_which_cores_it_has_and_for_auto_how_fast(receiver, backend):
    with receiver.connect() as peer:
        welcome = welcomed(peer, backend=backend)
    receiver.join()
    assert not are_apart(HELLO.session, welcome.cores)
    assert are_apart(HELLO.session + "1", welcome.cores)
    assert (welcome.speed == 1000) == (backend == "zlib") or 0.2 < welcome.speed / 1000 / core_speed() < 5


def test_silent_and_dripping_peers_keep_no_sender_out(receiver):
    silent = [receiver.connect() for _ in range(20)]
    for peer in silent[10:]:
        peer.sendall(hello()[:7])
    assert served(receiver)
    for peer in silent:
        assert "another sender came first" in told(peer)
        peer.close()


def test_a_peer_that_drips_has_one_time_for_its_whole_greeting(receiver, monkeypatch):
    monkeypatch.setattr(reception, "_GREETING_S", 0.5)
    with receiver.connect() as peer:
        end = threading.Event()

        def drip() -> None:
            for byte in hello():
                try:
                    peer.send(bytes([byte]))
                except OSError:
                    return
                if end.wait(0.05):
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        assert "no whole greeting within" in told(peer)
        end.set()
        thread.join()
    monkeypatch.undo()
    assert served(receiver)


def test_of_too_many_that_greet_at_once_the_oldest_goes(receiver, monkeypatch):
    monkeypatch.setattr(reception, "_MOST_GUESTS", 4)
    crowd = [receiver.connect() for _ in range(9)]
    assert "more than 4 connections greet at once" in told(crowd[0])
    assert served(receiver)
    for peer in crowd:
        peer.close()


def test_a_greeting_may_come_in_pieces(receiver):
    with receiver.connect() as peer:
        data = hello()
        for cut in range(0, len(data), 9):
            peer.sendall(data[cut : cut + 9])
        assert read(next(frames_of(peer))).threads == 1
    receiver.join()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET / HTTP/1.1\r\n" * 20, "not a pageferry frame"),
        (document(Kind.HELLO, b"{"), "is not JSON"),
        (document(Kind.HELLO, b"\xff"), "is not JSON"),
        (document(Kind.HELLO, []), "it is not a table"),
        (hello(protocol="\x1b" * 1000), "speaks protocol"),
        (document(Kind.HELLO, DEEP), "more than 64 lists and tables"),
        (hello(decompress_threads=10**400), "decompress_threads = 1000"),
        (hello()[:-1] + b"]", "damaged on the way"),
        (whole(End(0, 0, bytes(16))), "the sender sent END before the sender's greeting; HELLO or JOIN or ASK was due"),
        (raw(Kind.BATCH, raw_bytes=4 << 20, body_bytes=4 << 20), "sent BATCH before the sender's greeting"),
        (hello(codecs=["none", "nosuch"]), "'nosuch'"),
        (hello(codecs=["a\n\x1b[31m"]), "codecs = ["),
        (hello(codecs=["\ud800"]), "codecs = ["),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_greeting_that_cannot_be_is_refused_in_a_line_and_the_next_is_served(receiver, sent, words):
    with receiver.connect() as peer:
        peer.sendall(sent)
        assert words in told(peer)
    wait_until(lambda: len(receiver.said) > 1)
    assert words in receiver.said[1]
    assert receiver.said[1].isprintable()
    assert served(receiver)


def test_who_leaves_in_mid_greeting_is_told_of_and_the_next_is_served(receiver):
    with receiver.connect() as peer:
        peer.sendall(hello()[:70])
    wait_until(lambda: len(receiver.said) > 1)
    assert receiver.said[1] == "refused a connection: it left before its greeting was whole"
    assert served(receiver)


def test_a_second_sender_is_told_that_another_is_served(receiver):
    with receiver.connect() as first:
        welcomed(first)
        for _ in range(3):
            with receiver.connect() as second:
                second.sendall(hello())
                assert "another sender is being served" in told(second)
    receiver.join()


@pytest.mark.parametrize(
    "welcome", [DEEP, b'{"protocol": 1, "threads": ' + b"9" * 400 + b"}", b"x"], ids=["deep", "long", "junk"]
)
def test_a_hostile_receiver_is_refused_in_a_line(tmp_path, welcome):
    with socket.create_server(("127.0.0.1", 0)) as server:
        half = Half(waits_for="never")
        to = f"tcp:127.0.0.1:{server.getsockname()[1]}"
        half.begin(run_sender, SendConfig(f"unix:{tmp_path}/s", to, "zlib"))
        peer, _ = server.accept()
        with peer:
            peer.sendall(document(Kind.WELCOME, welcome))
            half.join()
    assert isinstance(half.error, FrameError)
    assert "the receiver's WELCOME" in str(half.error)


@pytest.mark.parametrize(("histories", "fits"), [(31, False), (17, False), (16, True)])
def test_histories_are_bounded_by_their_sum_before_one_is_used(histories, fits):
    try:
        registry.load("zstd-long").probe()
    except BackendUnavailable as exc:
        pytest.skip(str(exc))
    codecs = ("none", *["zstd-long"] * histories)
    greeting = replace(HELLO, codecs=codecs, backend="zstd-long", options={"window": "1GiB"})
    if fits:
        assert list(agree(greeting, 1).serials) == list(range(1, histories + 1))
    else:
        with pytest.raises(FrameError, match=f"histories of {histories} GiB together; a receiver gives at most 16 GiB"):
            agree(greeting, 1)


def test_many_small_batches_are_held_back_as_what_they_take(tmp_path):
    """Batches of a byte for a destination that is not there: few go beyond what one session may make us hold."""
    config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1)
    half = Half(one_sender=True).start(run_receiver, config)
    with half.connect() as peer:
        peer.sendall(hello())
        peer.settimeout(2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 500_000:
                peer.sendall(b"".join(small_batch(sent + n) for n in range(1000)))
                sent += 1000
    half.join()
    assert isinstance(half.error, PeerError)  # closed, or broken: our end goes with the WELCOME unread
    in_sockets = (8 << 20) // len(small_batch(0))
    assert sent < MOST_IN_FLIGHT_BYTES // (4 << 10) + in_sockets


def small_batch(sequence):
    return whole(stored(b"x", sequence))
