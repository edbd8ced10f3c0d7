"""A history's memory is ready at both ends before the first batch, or somebody is told why not."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import sample_streams
from frames import hello, whole
from pairs import Half, Pair, carry, greeted_links

from backends import registry
from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable
from harness.errors import CodecError, FrameError, MissingError
from harness.migrator.carry import preparation
from harness.migrator.carry.serial import Serial
from harness.migrator.choose.auto import candidates
from harness.migrator.choose.estimates import Estimates
from harness.migrator.choose.method_policy import MethodPolicy
from harness.migrator.config import ReceiveConfig
from harness.migrator.receiver import run_receiver
from harness.migrator.session import FrameLink
from harness.wire.pair.messages import Prepare, Prepared

GIB = 1 << 30


class Planted(Backend):
    """Counts how often it is opened, and fails if it is told to."""

    info = BackendInfo(name="planted", stateful=True)

    def __init__(self, failure: BackendError | None = None) -> None:
        super().__init__()
        self.failure, self.opened, self.decoders = failure, 0, 0

    @classmethod
    def probe(cls):
        return "1"

    def open(self):
        self.opened += 1
        if self.failure is not None:
            raise self.failure

    def open_decoder(self):
        self.decoders += 1
        if self.failure is not None:
            raise self.failure

    def compress(self, data):
        return bytes(data)

    def decompress(self, data, raw_bytes):
        return bytes(data)


@pytest.fixture
def plenty(monkeypatch):
    monkeypatch.setattr(preparation, "available_bytes", lambda: 64 * GIB)


@pytest.fixture
def ends():
    with greeted_links() as links:
        yield links


def answering(link: FrameLink, serial: Serial) -> threading.Thread:
    def run() -> None:
        asked = link.next_as(Prepare, 10)
        with contextlib.suppress(CodecError):
            preparation.answer(link, asked, {asked.codec: serial})

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.usefixtures("plenty")
def test_the_instance_is_opened_once_at_both_ends(ends):
    ours, theirs = Serial(Planted()), Serial(Planted())
    thread = answering(ends[1], theirs)
    assert preparation.prepare(ends[0], 1, ours)
    thread.join()
    assert (ours.backend.opened, ours.backend.decoders) == (1, 0)
    assert (theirs.backend.opened, theirs.backend.decoders) == (0, 1)


def test_a_history_of_a_codec_that_keeps_none_is_refused(ends):
    with pytest.raises(FrameError, match="a history of codec 7, which keeps none or was not agreed on"):
        preparation.answer(ends[1], Prepare(7), {})


@pytest.mark.parametrize("short", ["here", "there"])
def test_where_memory_is_short_none_is_opened_and_that_is_told(ends, monkeypatch, short):
    ours = Serial(Planted())
    monkeypatch.setattr(preparation, "available_bytes", lambda: GIB if short == "here" else 4 * GIB)

    def tell() -> None:
        ends[1].next_as(Prepare, 10)
        ends[1].send(Prepared(int(short == "here")))

    thread = threading.Thread(target=tell)
    thread.start()
    assert not preparation.prepare(ends[0], 1, ours)
    thread.join()
    assert ours.backend.opened == int(short == "there")


@pytest.mark.usefixtures("plenty")
@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (BackendError("no memory for a window"), CodecError, "before the migration began: no memory for a window"),
        (BackendUnavailable("planted", "no card", "plug one in"), MissingError, "no card.*plug one in"),
    ],
)
def test_an_instance_that_cannot_be_opened_stops_it_before_it_begins(ends, failure, error, says):
    with pytest.raises(error, match=says):
        preparation.prepare(ends[0], 1, Serial(Planted(failure)))


def test_a_sender_warns_of_a_history_that_may_outgrow_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "available_bytes", lambda: GIB)
    data = sample_streams.small_stream()
    with Pair(tmp_path, "zstd-long", options={"window": "1MiB"}) as pair:
        assert carry(pair, data, []) == data
    assert pair.sender.result.prepared_histories == 0
    assert any("warning: memory is short here or at the receiver" in line for line in pair.sender.said)


def test_the_pair_prepares_and_reports_it(tmp_path, monkeypatch, plenty):
    cls = registry.load("zstd-long")
    opened = []
    monkeypatch.setattr(cls, "open", lambda self: opened.append(("sender", self.options["window"])))
    monkeypatch.setattr(cls, "open_decoder", lambda self: opened.append(("receiver", self.options["window"])))
    data = sample_streams.small_stream(5, sections=20)
    with Pair(tmp_path, "zstd-long", options={"window": "2MiB"}) as pair:
        assert sorted(opened) == [("receiver", "2MiB"), ("sender", "2MiB")]
        assert carry(pair, data, [100_000]) == data
    assert pair.sender.error is None
    assert pair.sender.result.prepared_histories == 1
    assert pair.sender.result.prepare_s > 0
    assert len(opened) == 2


def test_a_codec_without_history_is_not_prepared(tmp_path):
    data = sample_streams.small_stream(5, sections=4)
    with Pair(tmp_path, "zlib") as pair:
        assert carry(pair, data, [100_000]) == data
    assert pair.sender.result.prepare_s is None


def receiver_and_peer(tmp_path, **greeting) -> tuple[Half, socket.socket, socket.socket]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "d"))
    listener.listen(1)
    config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1, timeout_s=120)
    half = Half(one_sender=True).start(run_receiver, config)
    peer = half.connect()
    peer.sendall(hello(codecs=["none", "zstd-long"], backend="zstd-long", **greeting))
    return half, peer, listener


@pytest.mark.usefixtures("plenty")
def test_a_sender_may_ask_once_and_only_before_its_first_batch(tmp_path):
    half, peer, listener = receiver_and_peer(tmp_path, options={"window": "1MiB"})
    with peer, listener:
        peer.sendall(whole(Prepare(1)) * 2)
        half.join()
    assert "the sender sent PREPARE before the stream's first batch; PROBE or BATCH or END was due" in str(half.error)


@pytest.mark.parametrize("window", ["3MiB", 27, True])
def test_a_window_that_cannot_be_is_refused(tmp_path, window):
    half, peer, listener = receiver_and_peer(tmp_path, options={"window": window})
    with peer, listener:
        assert b"the sender's " in peer.recv(2000)
        half.stop()
    assert "must be one of 1MiB" in half.said[1]


def test_a_prepared_history_is_trusted_from_its_first_batch():
    found = candidates({"candidates": "zstd-long"})
    number = next(number for number, candidate in enumerate(found) if candidate.history)
    rates = []
    for ready in (False, True):
        policy = MethodPolicy(Estimates(found, 2, 2))
        if ready:
            policy.prepared(number)
        policy.compressed(number, 1 << 20, 1 << 18, 0.1)
        rates.append(policy.estimates.known[number].raw_bytes)
        assert policy._is_cold(number) is not ready
    assert rates[0] == rates[1]
