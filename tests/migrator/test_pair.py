"""Sender and receiver together, over real sockets: what leaves is what entered, and a failure anywhere reaches both ends."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import struct
import threading
import time
import zlib

import pytest
import sample_streams
from fake_qmp import FakeQmp
from frames import hello, stored, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Half, Pair, carry

from backends import registry
from backends.api import Backend, BackendError, BackendInfo, BackendUnavailable
from harness.errors import CodecError, FrameError, MissingError, PageferryError, PeerError, QemuError, UserError
from harness.migrator.carry import codec
from harness.migrator.choose.auto import candidates
from harness.migrator.receiver import ReceiveConfig, run_receiver
from harness.migrator.sender import SendConfig, run_sender
from harness.wire.pair.frame import HEADER_BYTES, digest
from harness.wire.pair.messages import Ack, End, Layout, Probed, Welcome

AVAILABLE = [status.name for status in registry.survey() if status.available and status.origin == "pageferry"]


@pytest.fixture(autouse=True, scope="module", params=["zlib", "zstd-long", "auto"])
def _each_way(request):
    """Whatever happens, happens with a codec, with one that keeps history, and with changing ones."""
    Pair.usual_backend = request.param
    yield
    Pair.usual_backend = "zlib"


@pytest.mark.parametrize("backend", [*AVAILABLE, "auto"])
def test_what_leaves_is_what_entered(tmp_path, backend, monkeypatch):
    monkeypatch.setenv("PAGEFERRY_OPENCL_DEVICE", "cpu")
    data = sample_streams.small_stream(11, sections=12)
    with Pair(tmp_path, backend) as pair:
        assert carry(pair, data, [1, 7, 5000, 70_000]) == data
    assert pair.sender.error is None
    assert pair.receiver.error is None
    assert pair.sender.result["batches_digest"] == pair.receiver.result["batches_digest"]
    assert pair.sender.result["stream_bytes"] == pair.receiver.result["stream_bytes"] == len(data)
    assert pair.sender.result["opaque_reason"] is None


@pytest.mark.parametrize("backend", ["zstd-long", "auto"])
@pytest.mark.parametrize("threads", [1, 4])
def test_history_and_changing_choices_keep_every_byte(tmp_path, backend, threads):
    data = sample_streams.small_stream(5, sections=60) * 4
    with Pair(tmp_path, backend, threads=threads, batch_bytes=16 << 10, receive={"threads": 3}) as pair:
        assert carry(pair, data, [100_000]) == data
    assert pair.sender.error is None
    assert pair.sender.result["batches"] > 8
    if backend == "auto":
        policy = pair.sender.result["policy"]
        assert {decision["choice"] for decision in policy["decisions"]} <= set(map(str, candidates({})))
        assert sum(policy["shares"].values()) == pytest.approx(1)


@pytest.mark.parametrize("dies", [False, True])
def test_a_source_that_is_steered_sends_the_same_bytes_whatever_becomes_of_its_qmp(tmp_path, dies):
    data = sample_streams.small_stream(11, sections=12)
    with FakeQmp(tmp_path / "q", {"downtime-limit": 300}) as qmp:
        with Pair(tmp_path, qmp=f"unix:{qmp.path}", downtime_s=0.5) as pair:
            assert qmp.parameters == {"downtime-limit": 500}
            if dies:
                qmp.die()
            assert carry(pair, data, [70_000]) == data
        assert qmp.parameters == {"downtime-limit": 500 if dies else 300}
    assert pair.sender.error is None
    told = pair.sender.result["steering"]
    assert (told["wanted_downtime_s"], told["owners"], told["restored"]) == (0.5, {"downtime-limit": 300}, not dies)
    json.dumps(told)


def test_a_receiver_without_a_candidate_is_told_before_the_migration(tmp_path, monkeypatch):
    from harness.migrator import agreement  # noqa: PLC0415 - patched here alone

    real = agreement._opener

    def opener(name):
        if name == "lz4":
            raise MissingError("on the receiver: backend 'lz4' is not available: no lz4; install it")
        return real(name)

    monkeypatch.setattr(agreement, "_opener", opener)
    target = f"unix:{tmp_path}/d"
    receiving = Half().start(run_receiver, ReceiveConfig("tcp:127.0.0.1:0", target, threads=1))
    port = int(receiving.line.rpartition(":")[2])
    config = SendConfig(f"unix:{tmp_path}/s", f"tcp:127.0.0.1:{port}", "auto")
    sending = Half().start(run_sender, config)
    assert "on the receiver: backend 'lz4' is not available" in str(sending.join().error)
    assert sending.line == ""
    assert "refused a connection: on the receiver: backend 'lz4' is not available" in receiving.stop().said[1]


@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 300_000), max_size=6),
    batch_bytes=st.sampled_from([65536, 262144]),
    inflight_bytes=st.sampled_from([None, 1, 300_000]),
    junk=st.one_of(
        st.none(),
        st.binary(min_size=1, max_size=2000).filter(lambda junk: not junk.startswith((b"QEVM", b"\x08\x00\x0a"))),
    ),  # a QEMU's stream that is torn is refused
)
@settings(max_examples=15, deadline=None)
def test_any_stream_cut_anywhere_arrives_unchanged(  # noqa: PLR0917 - hypothesis names them
    tmp_path_factory, seed, cuts, batch_bytes, inflight_bytes, junk
):
    data = sample_streams.small_stream(seed, sections=4) if junk is None else junk
    with Pair(tmp_path_factory.mktemp("p"), "zlib", batch_bytes=batch_bytes, inflight_bytes=inflight_bytes) as pair:
        assert carry(pair, data, [cut % (len(data) + 1) for cut in cuts]) == data
    assert pair.sender.error is None
    assert pair.receiver.error is None


def test_incompressible_data_is_stored_and_costs_only_headers(tmp_path):
    data = random.Random(1).randbytes(3 << 20)
    with Pair(tmp_path, "zlib") as pair:
        assert carry(pair, data, []) == data
    result = pair.sender.result
    assert result["stored_batches"] == result["batches"]
    assert result["sent_bytes"] <= len(data) + 64 * (result["batches"] + 2) + 400


def test_the_return_path_is_carried_both_ways_while_the_stream_pauses(tmp_path):
    head = (
        sample_streams.header()
        + sample_streams.config()
        + sample_streams.command(sample_streams.OPEN_RETURN_PATH)
        + sample_streams.ping(7)
    )
    with Pair(tmp_path) as pair:
        pair.source.sendall(head)
        assert pair.destination.recv(1 << 16) == head
        pair.destination.sendall(b"PONG 7")
        assert pair.source.recv(100) == b"PONG 7"
        pair.source.sendall(sample_streams.start_ram([("pc.ram", 1 << 20)]))
        assert pair.destination.recv(1 << 16) == sample_streams.start_ram([("pc.ram", 1 << 20)])
        shut = struct.pack(">HHI", 1, 4, 0)
        pair.destination.sendall(shut)
        pair.destination.shutdown(socket.SHUT_WR)
        assert pair.source.recv(100) + pair.source.recv(100) == shut
        pair.source.close()
        assert pair.drain() == b""


def test_a_half_written_record_is_not_held_back_for_ever(tmp_path):
    head = sample_streams.header() + sample_streams.config() + sample_streams.start_ram([("pc.ram", 1 << 20)])
    rest = (
        sample_streams.part(sample_streams.raw_page(0, bytes(4096), "pc.ram"))
        + sample_streams.end()
        + sample_streams.eof()
    )
    torn, rest = head + rest[:7], rest[7:]
    with Pair(tmp_path) as pair:
        pair.source.sendall(torn)
        got = b""
        while len(got) < len(torn):
            got += pair.destination.recv(1 << 16)
        assert got == torn
        assert carry(pair, rest, []) == rest
    assert "stalled inside a record" in pair.sender.result["opaque_reason"]


def test_bytes_in_flight_stay_within_the_window_when_the_destination_stands_still(tmp_path):
    data = random.Random(2).randbytes(40 << 20)
    with Pair(tmp_path, "none", inflight_bytes=2 << 20) as pair:
        pair.source.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                sent += pair.source.send(data[sent : sent + 65536])
        # The window, one batch in the reader's hands, and the kernel's buffers of two unix sockets.
        assert sent < (2 << 20) + (1 << 20) + (2 << 20)


class _Planted(Backend):
    info = BackendInfo("planted")
    wrong = 0

    @classmethod
    def probe(cls) -> str:
        return "1"

    def compress(self, data):
        return bytes(data)[:-9]

    def decompress(self, data, raw_bytes):
        return bytes(data) + bytes(9 - self.wrong)


class _Paged(_Planted):
    """Stands for a device with page-sized blocks: takes whole pages only, but for opaque bytes."""

    info = BackendInfo("planted", wants_pages=True)
    page_batches = 0

    def compress(self, data):
        if len(data) % 4096 == 0:
            type(self).page_batches += 1
        return zlib.compress(data, 1)

    def decompress(self, data, raw_bytes):
        return zlib.decompress(data)


class _Short(_Planted):
    wrong = 1


class _Raises(_Planted):
    def decompress(self, data, raw_bytes):
        raise BackendError("planted: the device is gone")


class _RaisesCompressing(_Planted):
    def compress(self, data):
        raise BackendError("planted: the device is gone")


class _Crashes(_Planted):
    def decompress(self, data, raw_bytes):
        raise ZeroDivisionError("planted bug")


@pytest.fixture
def plant(monkeypatch):
    def install(cls):
        load, create, names = registry.load, registry.create, registry.names()
        monkeypatch.setattr(registry, "names", lambda: (*names, "planted"))
        monkeypatch.setattr(registry, "load", lambda name: cls if name == "planted" else load(name))
        monkeypatch.setattr(
            registry, "create", lambda n, level=None, **o: cls(level) if n == "planted" else create(n, level, **o)
        )

    return install


def test_a_backend_that_wants_pages_gets_them_without_the_words_between(tmp_path, plant):
    plant(_Paged)
    data = sample_streams.small_stream(5, sections=20)
    with Pair(tmp_path, "planted", batch_bytes=65536) as pair:
        assert carry(pair, data, [70_000, 300_000]) == data
    assert _Paged.page_batches >= 2
    assert pair.sender.result["stored_batches"] < pair.sender.result["batches"]


@pytest.mark.parametrize(
    ("cls", "sender_says", "receiver_error"),
    [
        (_Planted, "restored .* bytes that are not the", CodecError),
        (_Short, "restored|batch", PageferryError),
        (_Raises, "the device is gone", CodecError),
        (_Crashes, "planted bug", ZeroDivisionError),
        (_RaisesCompressing, "the device is gone", PeerError),
    ],
)
def test_a_codec_that_fails_or_lies_stops_both_and_nothing_wrong_is_delivered(
    tmp_path, plant, cls, sender_says, receiver_error
):
    plant(cls)
    data = sample_streams.small_stream(5, sections=8)
    with Pair(tmp_path, "planted") as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(data)
        received = pair.drain()
        assert data.startswith(received)
        assert len(received) < len(data)
        with contextlib.suppress(ConnectionResetError):
            assert pair.source.recv(100) == b""
    assert isinstance(pair.sender.error, PageferryError)
    assert isinstance(pair.receiver.error, receiver_error)

    assert re.search(sender_says, str(pair.sender.error))


def test_without_the_digest_check_a_lying_codec_would_get_through(tmp_path, plant, monkeypatch):
    """The check above is what holds: with it off, wrong bytes do arrive."""
    plant(_Planted)
    monkeypatch.setattr(codec, "check_restored", lambda *_: None)
    data = sample_streams.small_stream(5, sections=8)
    with Pair(tmp_path, "planted") as pair:
        received = carry(pair, data, [])
    assert len(received) == len(data)
    assert received != data


def test_a_destination_that_dies_stops_the_source(tmp_path):
    with Pair(tmp_path) as pair:
        pair.source.sendall(b"x")
        pair.destination.close()
        with contextlib.suppress(OSError):
            for _ in range(200):
                pair.source.sendall(random.Random(1).randbytes(65536))
                time.sleep(0.001)
    assert isinstance(pair.receiver.error, QemuError)
    assert "destination QEMU closed its connection at byte" in str(pair.receiver.error)
    assert "destination QEMU closed its connection" in str(pair.sender.error)


class TestReceiverAgainstHostilePeers:
    @pytest.fixture
    def receiver(self, tmp_path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "d"))
            listener.listen(1)
            listener.setblocking(False)
            config = ReceiveConfig("tcp:127.0.0.1:0", f"unix:{tmp_path}/d", threads=1)
            half = Half(one_sender=True).start(run_receiver, config)
            yield half
            half.join()
            with pytest.raises(BlockingIOError):
                listener.accept()  # QEMU's, which takes one connection, was left alone

    def greet(self, half: Half) -> socket.socket:
        peer = half.connect()
        peer.sendall(hello())
        return peer

    @pytest.mark.parametrize(
        ("frame", "error"),
        [
            (whole(Ack(0, 0, 0, 0, 0, 0, 0)), "sent ACK before the stream's first batch"),
            (whole(stored(b"abc", 4)), "batch 4 came"),
            (whole(stored(b"abc"))[:-1] + b"d", "damaged"),
            (whole(stored(b"abc", raw_digest=digest(b"abd"))), "not the 3 that were compressed"),
            (whole(stored(b"abc", codec=9, layout=Layout.PACKED, raw_bytes=9)), "codec 9"),
            (whole(stored(b"abc", codec=1, layout=Layout.PACKED, raw_bytes=9)), "zlib"),
            (whole(End(3, 5, b"x" * 16)), "the stream's end names 3 batches"),
            (bytes(200), "not a pageferry frame"),
        ],
        ids=["kind", "order", "damaged", "stored", "codec", "undecodable", "end", "junk"],
    )
    def test_a_hostile_frame_stops_it_before_the_guest_hears_of_it(self, receiver, frame, error):
        with self.greet(receiver) as peer:
            peer.sendall(frame)
            receiver.join()
        assert isinstance(receiver.error, (FrameError, CodecError, PeerError))
        assert error in str(receiver.error)

    def test_a_link_that_ends_inside_a_frame_is_an_error(self, receiver):
        with self.greet(receiver) as peer:
            peer.sendall(whole(End(0, 0, b"x" * 16))[:-3])
        assert isinstance(receiver.join().error, PeerError)


def test_the_sender_says_what_to_start_when_nobody_listens(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = SendConfig(
            f"unix:{tmp_path}/s",
            f"tcp:127.0.0.1:{unused.getsockname()[1]}",
            "none",
            wait_s=0.5,
        )
        with pytest.raises(PeerError, match=r"start `pageferry receive` there; waited for 0\.5 s, or give more --wait"):
            run_sender(config)


@pytest.mark.parametrize(("backend", "level", "error"), [("nosuch", None, "nosuch"), ("zlib", 77, "77")])
def test_an_unknown_backend_or_level_is_the_users_error(tmp_path, backend, level, error):
    config = SendConfig(f"unix:{tmp_path}/s", "tcp:127.0.0.1:1", backend, level)
    with pytest.raises(UserError, match=error):
        run_sender(config)


def test_a_receiver_that_goes_away_before_the_migration_is_noticed(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    half = Half()

    def serve() -> None:
        peer, _ = listener.accept()
        peer.recv(4096)
        peer.sendall(whole(Welcome(1)))
        for _ in range(2):  # how far is it?
            peer.recv(HEADER_BYTES, socket.MSG_WAITALL)
            peer.sendall(whole(Probed(0.0, 0.0, 0)))
        half.ready.wait(10)
        peer.close()

    server = threading.Thread(target=serve)
    server.start()
    half.start(run_sender, SendConfig(f"unix:{tmp_path}/s", address, "none")).join()
    server.join()
    listener.close()
    assert "closed the link before the migration began" in str(half.error)


class _Device(Backend):
    """Stands for a device that fails at every third batch, or from the start."""

    info = BackendInfo("planted", device="card")
    always = False
    calls = 0

    @classmethod
    def probe(cls) -> str:
        return "1"

    def compress(self, data):
        type(self).calls += 1
        if self.always or self.calls % 3 == 0:
            raise BackendError("backend 'planted': no answer within 150 ms")
        return zlib.compress(data, 1)

    def decompress(self, data, raw_bytes):
        return zlib.decompress(data)


class _DeadDevice(_Device):
    always = True


@pytest.mark.parametrize(("cls", "at_least"), [(_Device, 1), (_DeadDevice, 5)])
def test_batches_that_a_device_loses_are_compressed_by_the_fallback_and_counted(tmp_path, plant, cls, at_least):
    cls.calls = 0
    plant(cls)
    data = random.Random(3).randbytes(100_000) * 10
    with Pair(tmp_path, "planted", batch_bytes=64 << 10, fallback="zlib:1") as pair:
        assert carry(pair, data, []) == data
        pair.sender.join()
    sent = pair.sender.result
    assert sent["fallback"] == "zlib:1"
    assert at_least <= sent["fallbacks"] == (cls.calls if cls.always else cls.calls // 3)
    assert sent["fallback_bytes"] <= len(data)
    assert sent["fallback_reason"] == "backend 'planted': no answer within 150 ms"


def test_where_fallback_is_forbidden_a_failing_device_ends_the_migration(tmp_path, plant):
    plant(_DeadDevice)
    with Pair(tmp_path, "planted", fallback="never") as pair:
        with contextlib.suppress(OSError):
            pair.source.sendall(bytes(range(256)) * 4096)
        assert pair.drain() == b""
        pair.sender.join()
    assert isinstance(pair.sender.error, CodecError)
    assert "no answer within 150 ms" in str(pair.sender.error)


class _NeverOpens(_Device):
    def open(self):
        raise BackendUnavailable("planted", "no such card", "plug one in")


class _Busy(_Device):
    def open(self):
        raise BackendError("backend 'planted': the device is busy")


@pytest.mark.parametrize(
    ("cls", "error", "words"), [(_NeverOpens, MissingError, "plug one in"), (_Busy, CodecError, "busy")]
)
def test_a_device_that_cannot_be_opened_is_told_before_qemu_may_connect(tmp_path, plant, cls, error, words):
    plant(cls)
    config = SendConfig(f"unix:{tmp_path}/s", "tcp:127.0.0.1:9", "planted")
    with pytest.raises(error, match=words):
        run_sender(config, lambda line: pytest.fail(f"ready although the device is not: {line}"))
