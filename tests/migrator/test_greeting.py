"""Whoever connects to a receiver can neither keep a sender out nor make it do what was not agreed on."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Half, wait_until

from backends import registry
from backends.api import BackendUnavailable
from harness.errors import FrameError, PageferryError, PeerError
from harness.migrator import reception
from harness.migrator.agreement import MOST_IN_FLIGHT_BYTES, agree, read_welcome
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.migrator.sender import SendConfig, run_sender
from harness.migrator.session import FrameLink, parse_greeting
from harness.migrator.transport.sockets import SocketTransport
from harness.wire.pair.frame import Frame, Header, Kind, control, decode_header, digest, encode

HELLO = {"protocol": 1, "codecs": ["none", "zlib"], "session": "x"}
DEEP = b'{"protocol": 1, "x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
LONG = b'{"protocol": 1, "codecs": ["none"], "decompress_threads": ' + b"9" * 400 + b"}"


def hello(**fields):
    return control(Kind.HELLO, json.dumps({**HELLO, **fields}).encode())


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
        peer.sendall(hello())
        frame = FrameLink(SocketTransport(peer), "receiver").first_frame(Kind.WELCOME, 20)
    half.join()
    return json.loads(bytes(frame.body))["session"] == "x"


def told(peer):
    """What a peer that is refused is told."""
    with pytest.raises(PeerError) as caught:
        FrameLink(SocketTransport(peer), "receiver").first_frame(Kind.WELCOME, 20)
    return str(caught.value)


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
        FrameLink(SocketTransport(peer), "receiver").first_frame(Kind.WELCOME, 20)
    receiver.join()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET / HTTP/1.1\r\n" * 20, "not a pageferry frame"),
        (control(Kind.HELLO, b"{"), "is not JSON"),
        (control(Kind.HELLO, b"\xff"), "is not JSON"),
        (control(Kind.HELLO, b"[]"), "speaks protocol 'None'"),
        (hello(protocol="\x1b" * 1000), "speaks protocol"),
        (control(Kind.HELLO, DEEP), "more than 64 lists and tables"),
        (control(Kind.HELLO, LONG), "decompress_threads = '9999"),
        (hello()[:-1] + b"]", "damaged on the way"),
        (control(Kind.END, b"x" * 16), "expected HELLO from the sender, got a END frame"),
        (encode(Header(Kind.BATCH, raw_bytes=4 << 20, body_bytes=4 << 20)), "got a BATCH frame"),
        (hello(codecs=["none", "nosuch"]), "'nosuch'"),
        (hello(codecs=["a\n\x1b[31m"]), "names no codecs"),
        (hello(codecs=["\ud800"]), "names no codecs"),
        (hello(codecs=["none"] * 33), "names no codecs"),
        (hello(codecs="zlib"), "names no codecs"),
        (hello(session="s" * 65), "session = 'sss"),
        (hello(session=7), "session = '7'"),
        (hello(decompress_threads=True), "decompress_threads = 'True'"),
        (hello(decompress_threads=0), "decompress_threads = '0'"),
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
        first.sendall(hello())
        FrameLink(SocketTransport(first), "receiver").first_frame(Kind.WELCOME, 20)
        for _ in range(3):
            with receiver.connect() as second:
                assert "another sender is being served" in told(second)
    receiver.join()


@given(
    fields=st.dictionaries(
        st.sampled_from(["codecs", "session", "decompress_threads", "histories", "parameters", "other"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=20)
            | st.sampled_from(["zlib", "zstd-long"]),
            lambda inner: (
                st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["backend", "window"]), inner, max_size=2)
            ),
            max_leaves=6,
        ),
    ),
    body=st.none() | st.binary(max_size=200),
)
@settings(max_examples=300, deadline=None)
def test_any_greeting_is_agreed_on_or_refused_in_one_way(fields, body):
    data = json.dumps({**HELLO, **fields}).encode() if body is None else body
    frame = _frame(data)
    for read in (lambda found: agree(found, 1), read_welcome):
        words = refusal(lambda read=read: read(parse_greeting(frame, "sender")))
        assert "\n" not in words
        assert len(words) < 500


def refusal(call):
    try:
        call()
    except PageferryError as exc:
        return str(exc)
    return ""


def _frame(data):
    whole = control(Kind.HELLO, data)
    return Frame(decode_header(whole[:64], 0), memoryview(whole[64:]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threads": 10**400}, "the receiver's greeting: threads = '1000"),
        ({"threads": -1}, "threads = '-1'"),
        ({"threads": 1.5}, "threads = '1.5'"),
        ({"probes": 1}, "probes = '1'"),
        ({"prepares": "yes"}, "prepares = 'yes'"),
    ],
)
def test_a_receivers_answer_is_read_as_strictly(fields, words):
    with pytest.raises(FrameError, match=words):
        read_welcome({"protocol": 1, **fields})


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
            peer.sendall(control(Kind.WELCOME, welcome))
            half.join()
    assert isinstance(half.error, FrameError)
    assert "the receiver's greeting" in str(half.error)


@pytest.mark.parametrize(
    ("histories", "window", "fits"), [(256, "1GiB", False), (17, "1GiB", False), (16, "1GiB", True)]
)
def test_histories_are_bounded_by_their_sum_before_one_is_made(histories, window, fits):
    try:
        registry.load("zstd-long").probe()
    except BackendUnavailable as exc:
        pytest.skip(str(exc))
    greeting = {
        **HELLO,
        "codecs": ["none", "zstd-long"],
        "histories": histories,
        "parameters": {"backend": "zstd-long", "window": window},
    }
    if fits:
        assert len(agree(greeting, 1).serials[1].lanes) == histories
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
    assert "the sender closed the link" in str(half.error)
    in_sockets = (8 << 20) // len(small_batch(0))
    assert sent < MOST_IN_FLIGHT_BYTES // (4 << 10) + in_sockets


def small_batch(sequence):
    one = digest(b"x")
    header = Header(Kind.BATCH, sequence, raw_bytes=1, body_bytes=1, raw_digest=one, body_digest=one)
    return encode(header) + b"x"
